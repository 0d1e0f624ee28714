"""A fitted forecaster on the move: forecasts from any later moment, beyond its horizon too, without learning anew."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from ecomine.inventory.forecasting import DemandForecaster
from ecomine.inventory.forecasting.forecaster import Expected
from ecomine.inventory.forecasting.panel import CATEGORY, DATE, ITEM, LOCATION, PRICE, QUANTITY, STOCK, Panel
from ecomine.inventory.law import DemandLaw
from ecomine.inventory.situation import KEYS

Factor = Callable[[pd.Timestamp], pd.Series]
"""By which forecasts of series (an index of KEYS) made in the evening of a day are multiplied."""


class Following:
    """`fit` moves the forecaster on to another history; inputs of coming periods are taken to stay as they were last.

    Beyond its horizon the last seven periods repeat; a total there grows with the time, its variance too.
    """

    def __init__(self, forecaster: DemandForecaster, factor: Factor | None = None) -> None:
        self.forecaster, self.factor = forecaster, factor

    def fit(self, rows: pd.DataFrame) -> "Following":
        self.forecaster = self.forecaster.following(rows)
        return self

    def predict(self, horizon: int, known: pd.DataFrame | None = None) -> pd.DataFrame:
        """item_id, location_id, date, mean; `known` is not read."""
        reach = min(horizon, self.forecaster.params.horizon)
        told = self.forecaster.predict(reach)[[*KEYS, DATE, "mean"]]
        if horizon > reach:
            told = _repeated(told, reach, horizon, self.forecaster.panel.days)
        return told.assign(mean=told["mean"].to_numpy() * self.factors(told))

    def totals(
        self, periods: int | pd.DataFrame, known: pd.DataFrame | None = None, given: Expected | None = None
    ) -> pd.DataFrame:
        """item_id, location_id, mean, sd of the total of the next periods; a frame tells how many of each series.

        `given` is what the forecaster's `expected` told of them, where that is known already.
        """
        panel, most = self.forecaster.panel, self.forecaster.params.horizon
        if not isinstance(periods, pd.DataFrame):
            periods = panel.keys.to_frame(index=False).assign(periods=periods)
        size = periods["periods"].to_numpy(np.int64)
        near = np.minimum(size, most)
        told = self.forecaster.totals(periods.assign(periods=near), given=given)
        law = DemandLaw.of_forecast(told)
        stretch = periods.assign(stretch=size / near).set_index(list(KEYS))["stretch"]
        law = law.over(stretch.reindex(pd.MultiIndex.from_frame(told[list(KEYS)])).to_numpy())
        factor = self.factors(told)
        return told[list(KEYS)].assign(mean=law.mean * factor, sd=law.sd * np.sqrt(factor))

    def factors(self, told: pd.DataFrame) -> np.ndarray:
        """By what each row's forecast is multiplied."""
        if self.factor is None:
            return np.ones(len(told))
        panel = self.forecaster.panel
        known = self.factor(pd.Timestamp(panel.dates(np.array(panel.periods - 1)).astype("datetime64[ns]")[()]))
        return known.reindex(pd.MultiIndex.from_frame(told[list(KEYS)])).fillna(1.0).to_numpy()


def _repeated(told: pd.DataFrame, reach: int, horizon: int, days: int) -> pd.DataFrame:
    """Forecasts of `reach` periods drawn out to `horizon`; rows of a series lie together in the order of time."""
    series = len(told) // reach
    grid = told["mean"].to_numpy().reshape(series, reach)
    last = grid[:, -min(7, reach) :]
    more = np.tile(last, (1, -(-(horizon - reach) // last.shape[1])))[:, : horizon - reach]
    first = told.iloc[::reach]
    date = first[DATE].to_numpy()[:, None] + np.arange(horizon) * np.timedelta64(days, "D")
    keys = first[list(KEYS)].loc[first.index.repeat(horizon)].reset_index(drop=True)
    return keys.assign(**{DATE: date.ravel(), "mean": np.hstack([grid, more]).ravel()})


def rows_of(panel: Panel) -> pd.DataFrame:
    """A panel as rows again: the keys, date, quantity, price, category, and stock (0 where it sold out, else 1)."""
    series, period = np.nonzero(np.isfinite(panel.units))
    keys = panel.keys[series]
    names = np.append(panel.category_names, "unknown")
    rows = {
        ITEM: keys.get_level_values(ITEM).to_numpy(object),
        LOCATION: keys.get_level_values(LOCATION).to_numpy(object),
        DATE: panel.dates(period).astype("datetime64[ns]"),
        QUANTITY: panel.units[series, period].astype(float),
        CATEGORY: names[panel.category[series]],
    }
    if PRICE in panel.inputs:
        rows[PRICE] = panel.inputs[PRICE][series, period].astype(float)
    if panel.censored is not None:
        rows[STOCK] = 1.0 - panel.censored[series, period]
    return pd.DataFrame(rows)
