"""Frames to draw: forecasts as fans beside what came."""

import numpy as np
import pandas as pd

from ecomine.inventory.features import WANTED
from ecomine.inventory.law import LEVELS, QUANTILES, DemandLaw
from ecomine.inventory.model import Replenisher
from ecomine.inventory.outlooks import View
from ecomine.inventory.situation import KEYS, WEEK

FANS = 8
"""Series that are drawn, those that bring most money; beside them all together."""

TOTAL = "all"
LAGS = (14, 21, 28, 35)


def fan(model: Replenisher, seen: list[View], truth: pd.DataFrame) -> pd.DataFrame:
    """Period by period over the test days: `units` wanted, mean and quantiles told within the fortnight before.

    Columns place (0 for all series together, then the series that brought most money before), item_id, location_id
    (`all` where together), date, units, mean, q0.05 …; sorted by place and date.
    """
    panel, begin = model.forecaster.panel, model.forecaster.panel.periods - model.test
    keys = panel.keys[seen[0].rows]
    price = model.series.set_index(list(KEYS))["price"].reindex(keys).fillna(0.0).to_numpy(float)
    money = np.nan_to_num(panel.units[seen[0].rows, :begin]).sum(axis=1) * price
    best = keys[np.lexsort((np.arange(len(keys)), -money))[:FANS]]
    together = _together(panel.units[seen[0].rows, :begin])
    ends = [view.since for view in seen[1:]] + [model.test]
    parts = []
    for view, end in zip(seen, ends, strict=True):
        told = _ahead(view, min(end - view.since, model.forecaster.params.horizon))
        told = told[pd.MultiIndex.from_frame(told[list(KEYS)]).isin(keys)]
        one = told[pd.MultiIndex.from_frame(told[list(KEYS)]).isin(best)]
        sums = told.assign(variance=_spread(told) ** 2).groupby("date", as_index=False)[["mean", "variance"]].sum()
        law = DemandLaw.of(
            sums["mean"].to_numpy(float), np.hypot(np.sqrt(sums.pop("variance")), together * sums["mean"])
        )
        named = {name: law.quantile(level) for name, level in zip(QUANTILES, LEVELS, strict=True)}
        parts += [one, sums.assign(**dict.fromkeys(KEYS, TOTAL), **named)]
    frame = pd.concat(parts, ignore_index=True)
    wanted = truth[pd.MultiIndex.from_frame(truth[list(KEYS)]).isin(keys)]
    wanted = wanted[[*KEYS, "date", WANTED]].rename(columns={WANTED: "units"})
    both = [wanted, wanted.groupby("date", as_index=False)["units"].sum().assign(**dict.fromkeys(KEYS, TOTAL))]
    frame = frame.merge(pd.concat(both), on=[*KEYS, "date"], how="left").fillna({"units": 0.0})
    place = pd.Series(np.arange(1, len(best) + 1), index=best)
    order = place.reindex(pd.MultiIndex.from_frame(frame[list(KEYS)])).fillna(0).to_numpy(np.int64)
    frame = frame.assign(place=order).sort_values(["place", "date"], ignore_index=True)
    return frame[["place", *KEYS, "date", "units", "mean", *QUANTILES]]


def _ahead(view: View, horizon: int) -> pd.DataFrame:
    """Forecasts period by period, leaned as totals are."""
    told = view.ahead.forecaster.predict(horizon, given=view.expected)
    factor = view.ahead.factors(told)
    return told.assign(**{name: told[name].to_numpy(float) * factor for name in ("mean", *QUANTILES)})


def _spread(told: pd.DataFrame) -> np.ndarray:
    return DemandLaw.of_forecast(told).sd


def _together(units: np.ndarray) -> float:
    """Root mean square error of the total of all series ÷ its mean, of a plain forecast two weeks ahead.

    All series rise and fall together, which none of them knows. The plain forecast is the mean of the same day of four
    weeks.
    """
    total = np.nan_to_num(units.astype(float)).sum(axis=0)
    width = len(total) - LAGS[-1]
    if width < WEEK or total.sum() <= 0:
        return 0.0
    plain = np.mean([total[LAGS[-1] - lag : LAGS[-1] - lag + width] for lag in LAGS], axis=0)
    return float(np.sqrt(((total[LAGS[-1] :] - plain) ** 2).mean()) / total.mean())
