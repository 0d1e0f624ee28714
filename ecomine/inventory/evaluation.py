"""On the test days: what the policy would have been worth beside plain rules, and how true its forecasts came.

Every method orders day by day on the same wanted demand, lead times and first stock, and sees its own sales alone; the
forecaster is moved on every fortnight and learns nothing anew. Plain rules hold fixed safety days, as many as would
have cost least on the last of the days learnt from. Money is the margin of what was wanted less what holding, ordering
and lost sales cost.
"""

import dataclasses

import numpy as np
import pandas as pd

from ecomine.domain import LABEL, Evaluation
from ecomine.errors import NotEnoughDataError
from ecomine.inventory import plots, replay
from ecomine.inventory.backtest import Outcome
from ecomine.inventory.features import COST, WANTED
from ecomine.inventory.following import Factor, Following, rows_of
from ecomine.inventory.forecasting import DemandForecaster
from ecomine.inventory.frontier import frontier
from ecomine.inventory.law import DemandLaw
from ecomine.inventory.model import LEAD, Replenisher, in_periods
from ecomine.inventory.outlooks import View, views
from ecomine.inventory.params import InventoryParams
from ecomine.inventory.situation import KEYS

COVERAGE = 0.9


def evaluate(model: Replenisher, frame: pd.DataFrame, truth: pd.DataFrame, params: InventoryParams) -> Evaluation:
    """Money a series by method over the counted days, and errors of forecasts of the time that orders must last.

    Raises NotEnoughDataError where nothing was sold.
    """
    if not len(frame) or truth[LABEL].sum() <= 0:
        raise NotEnoughDataError(
            f"The test days hold {len(frame):,} rows in which {truth[LABEL].sum():,.0f} units were sold; expected "
            "some. Bring a longer history."
        )
    before = model.before_test()
    factor = factors(model, frame)
    outcomes, series, safety = replayed(model, before, truth, params, factor)
    margin = (series["price"] - series[COST]).to_numpy(float)
    money = replay.values(outcomes, series[list(KEYS)], margin)
    days = params.test_days - params.warm_up_days
    results = {name: outcome.summary() for name, outcome in outcomes.items()}
    results[replay.BASELINE]["safety_days"] = safety * model.step
    results[replay.MODEL]["costs_known"] = float(truth["costed"].mean())
    seen = views(model, factor)
    errors, steps = judged(model, truth, seen)
    for name, told in errors.items():
        results.setdefault(name, {}).update(told)
    per_day = money.assign(**{name: money[name] / days for name in outcomes})
    course = pd.concat([outcome.course.assign(method=name) for name, outcome in outcomes.items()], ignore_index=True)
    drawn = {
        "days": course,
        "totals": steps,
        "fan": plots.fan(model, seen, truth),
        "frontier": frontier(model, seen, series, truth, params),
    }
    return Evaluation(results, per_day, {name: plot for name, plot in drawn.items() if len(plot)})


def factors(model: Replenisher, frame: pd.DataFrame) -> Factor:
    """Leaning by series, as it was known when each stretch of the test began."""
    first = frame.drop_duplicates([*KEYS, "event_timestamp"])
    told = first[[*KEYS, "event_timestamp"]].assign(factor=model.leaning.of(first))
    moments = np.sort(told["event_timestamp"].unique())
    by_moment = {moment: part.set_index(list(KEYS))["factor"] for moment, part in told.groupby("event_timestamp")}
    begins = frame.groupby("event_timestamp")["date"].min().reindex(moments).to_numpy()

    def factor(day: pd.Timestamp) -> pd.Series:
        # In the evening of the day before a stretch begins its features are known.
        at = np.searchsorted(begins, np.datetime64(day + pd.Timedelta(days=model.step)), side="right") - 1
        return by_moment[moments[max(int(at), 0)]]

    return factor


def replayed(
    model: Replenisher, before: DemandForecaster, truth: pd.DataFrame, params: InventoryParams, factor: Factor
) -> tuple[dict[str, Outcome], pd.DataFrame, float]:
    """Outcomes by method; the series with their price and cost; safety days (periods) of the plain rules."""
    early = rows_of(before.panel)
    late = truth.rename(columns={LABEL: "quantity"})
    category = early.drop_duplicates(list(KEYS))[[*KEYS, "category"]]
    late = late.merge(category, on=list(KEYS), how="inner")
    early = early.merge(category[list(KEYS)], on=list(KEYS)).assign(**{WANTED: early["quantity"]})
    named = [*KEYS, "date", "quantity", "category", "price", WANTED]
    rows = pd.concat([early[[*named, *[name for name in ("stock",) if name in early]]], late[named]], ignore_index=True)
    if "stock" in rows:
        rows["stock"] = rows["stock"].fillna(1.0)
    lead = model.series[[*KEYS, LEAD]].assign(**{LEAD: model.periods(model.series[LEAD].to_numpy(float))})
    known = truth.groupby(list(KEYS), as_index=False)[["price", COST]].median().merge(lead, on=list(KEYS), how="left")
    scaled = in_periods(params, model.step)
    warm_up = min(params.warm_up_days, params.test_days // 2) // model.step
    days = model.test - warm_up
    past = rows[rows["date"] < late["date"].min()]
    safety = replay.best_safety_days(past, scaled, known, days, warm_up, model.seed, model.step)
    outcomes = replay.replay(
        rows, dataclasses.replace(scaled, safety_days=safety), known, lambda: Following(before, factor), days, warm_up,
        model.seed, model.step,
    )  # fmt: skip
    begun = past[list(KEYS)].drop_duplicates()
    series = known.merge(begun, on=list(KEYS), how="inner").sort_values(list(KEYS), ignore_index=True)
    return outcomes, series, safety


def judged(
    model: Replenisher, truth: pd.DataFrame, seen: list[View]
) -> tuple[dict[str, dict[str, float]], pd.DataFrame]:
    """Errors of totals over the time that an order must last, from several origins, beside a moving average's.

    wape: absolute errors ÷ units; total: units told ÷ units; coverage: share of totals within the 90 % interval,
    bounds included; pinball: mean loss of the seven quantiles ÷ mean units.
    """
    told = totals(model, truth, seen)
    units = told["units"].to_numpy(float)
    law = DemandLaw.of(told["mean"].to_numpy(float), told["sd"].to_numpy(float))
    low, high = law.quantile((1 - COVERAGE) / 2), law.quantile((1 + COVERAGE) / 2)
    plain = DemandLaw.of(told["recent"].to_numpy(float))
    results = {
        replay.MODEL: {"coverage": float(((units >= low) & (units <= high)).mean()), **_errors(law, units)},
        replay.BASELINE: _errors(plain, units),
    }
    steps = told.groupby("date", as_index=False)[["units", "mean", "recent"]].sum()
    return results, steps


def totals(model: Replenisher, truth: pd.DataFrame, seen: list[View] | None = None) -> pd.DataFrame:
    """item_id, location_id, date (the last that was known), units, and mean, sd and `recent` told of them.

    Units are those wanted in the time that an order must last, from origins a fortnight apart; `recent` is the mean of
    the last four weeks.
    """
    keys = model.forecaster.panel.keys
    grid = truth.pivot(index=list(KEYS), columns="date", values=WANTED)
    sums = np.zeros((len(keys), model.test + 1))
    sums[:, 1:] = np.nan_to_num(grid.reindex(keys).to_numpy(float)).cumsum(axis=1)
    judged_at_all = keys.isin(grid.index)
    parts = []
    for view in views(model) if seen is None else seen:
        there = (view.periods <= model.test - view.since) & judged_at_all[view.rows]
        if not there.any():
            continue
        row, days = view.rows[there], view.periods[there]
        parts.append(
            view.told[there].assign(
                date=view.date,
                units=sums[row, view.since + days] - sums[row, view.since],
                recent=view.recent[there] * days,
            )
        )
    if not parts:
        raise NotEnoughDataError("No order would have lasted within the test days; raise `inventory.test_days`.")
    return pd.concat(parts, ignore_index=True)


def _errors(law: DemandLaw, units: np.ndarray) -> dict[str, float]:
    from ecomine.inventory.law import LEVELS

    sum_of = max(float(units.sum()), 1e-9)
    losses = [
        np.maximum(level * (units - told), (level - 1) * (units - told)).sum()
        for level in LEVELS
        for told in (law.quantile(level),)
    ]
    return {
        "wape": float(np.abs(law.mean - units).sum() / sum_of),
        "total": float(law.mean.sum() / sum_of),
        "pinball": float(np.mean(losses) / sum_of),
    }
