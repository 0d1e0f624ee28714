"""What a policy would have been worth on the shop's own history, beside a moving average with safety days.

Demand is the history's, stock-outs corrected; what each policy may see are its own sales and its own empty shelves, so
that a policy that sells out learns too little, as it would have. Stock at the beginning is the same for all: that of
the plain rule. So a shop that keeps no record of its stock can compare policies too.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd

from ecomine.errors import NotEnoughDataError
from ecomine.inventory.backtest import (
    Costs,
    Outcome,
    Outlook,
    Store,
    lead_times,
    moving_average,
    replanning,
    seasonal_naive,
    simulate,
)
from ecomine.inventory.law import DemandLaw
from ecomine.inventory.params import InventoryParams
from ecomine.inventory.policies import days_of_cover, policy
from ecomine.inventory.rates import RateForecaster
from ecomine.inventory.replenishment import Forecaster
from ecomine.inventory.situation import KEYS, WEEK, Situation

MODEL, BASELINE, SEASONAL = "model", "moving_average", "seasonal_naive"
WANTED = "wanted"
REFIT_DAYS = 14
LEAST_HISTORY = 56
RECENT_DAYS = 4 * WEEK

SAFETY_DAYS = (0.0, 2.0, 4.0, 7.0, 10.0, 14.0)
"""Days of safety that the plain rules choose among, by what they would have cost before."""


def replay(
    rows: pd.DataFrame,
    params: InventoryParams | None = None,
    stock: pd.DataFrame | None = None,
    make: Callable[[], Forecaster] | None = RateForecaster,
    days: int = 56,
    warm_up: int = 28,
    seed: int = 42,
    step: int = 1,
) -> dict[str, Outcome]:
    """Outcomes by method: `model` (the policy of `params`), and the plain rule of fixed safety days on two forecasts,
    `moving_average` and `seasonal_naive`; series in the order of KEYS. Without `make` the plain rules alone.

    `rows` are sales by periods of `step` days as for a forecaster, those without sales included; the last `warm_up` +
    `days` periods are replayed. `stock` gives lead_days, unit_cost and price of series, where they are known: item_id,
    location_id and these; times are in periods. What was wanted is the column `wanted`, else estimated. Series that
    began after the replay are left out. Raises NotEnoughDataError where less than LEAST_HISTORY days remain
    (RECENT_DAYS for the plain rules).
    """
    params = params or InventoryParams()
    rows = rows.assign(date=pd.to_datetime(rows["date"]), **{name: rows[name].astype(str) for name in KEYS})
    rows = rows.sort_values([*KEYS, "date"], kind="stable", ignore_index=True)
    begin = rows["date"].max() - pd.Timedelta(days=(warm_up + days - 1) * step)
    before = (rows["date"] < begin).groupby([rows[name] for name in KEYS]).transform("sum").to_numpy()
    rows, whole = rows[before > 0].reset_index(drop=True), (begin - rows["date"].min()).days
    least = RECENT_DAYS if make is None else LEAST_HISTORY
    if whole < least or rows.empty:
        raise NotEnoughDataError(
            f"{max(whole, 0)} days of history before a replay of {(warm_up + days) * step} days; expected "
            f"{least} or more. Replay fewer days or bring a longer history."
        )
    if WANTED not in rows.columns:
        rows = rows.assign(**{WANTED: np.round(RateForecaster(seed=seed).fit(rows).units)})
    late, rows = rows[rows["date"] >= begin], rows.drop(columns=WANTED)
    demand = late.pivot(index=list(KEYS), columns="date", values=WANTED).fillna(0.0)
    situation = _beginning(rows[rows["date"] < begin], demand.index, params, stock, step)
    # Without the column, the plain rule reads usual sales off the law that it is given.
    plainly = replace(situation, series=situation.series.drop(columns="usage"))
    start = days_of_cover(replace(situation, law=DemandLaw.of(situation.series["usage"] * situation.days)))
    early = rows[(rows["date"] < begin) & (rows["date"] >= begin - pd.Timedelta(days=RECENT_DAYS))]
    past = early.pivot(index="date", columns=list(KEYS), values="quantity").reindex(columns=demand.index).fillna(0.0)
    recent = (max(RECENT_DAYS // step, 1), past.to_numpy(float))
    course = {
        BASELINE: replanning(days_of_cover, plainly, moving_average(plainly, *recent)),
        SEASONAL: replanning(days_of_cover, plainly, seasonal_naive(plainly, WEEK if step == 1 else 1, past=recent[1])),
    }
    if make is not None:
        learning = _learning(rows, begin, situation, make, step)
        course = {MODEL: replanning(policy(params.policy), situation, learning), **course}
    # Deliveries come as late as the settings say, and on the mean when they say.
    late_by = min(params.lead_sd**2, float(situation.lead_days.min()) - 1)
    lead = lead_times(warm_up + days, situation.lead_days - late_by, late_by, seed)
    return {
        name: simulate(
            demand.to_numpy().T, orders, lead, Costs.of(situation), start.order_up_to, warm_up,
            situation.column("shelf_life_days"),
        )
        for name, orders in course.items()
    }  # fmt: skip


def best_safety_days(
    rows: pd.DataFrame, params: InventoryParams, stock: pd.DataFrame | None, days: int, warm_up: int, seed: int,
    step: int = 1,
) -> float:  # fmt: skip
    """Safety days (periods) with which the moving average would have cost least on the last days of `rows`.

    Those of `params` where they are too few to tell.
    """
    there = ((rows["date"].max() - rows["date"].min()).days - RECENT_DAYS) // step - warm_up
    if there < max(WEEK // step, 1):
        return params.safety_days
    days = min(days, there)
    costs = [
        replay(rows, replace(params, safety_days=safety / step), stock, None, days, warm_up, seed, step)[BASELINE].cost
        for safety in SAFETY_DAYS
    ]
    return SAFETY_DAYS[int(np.argmin(costs))] / step


def values(
    outcomes: dict[str, Outcome], situation_keys: pd.DataFrame, margin: np.ndarray | float = 0.0
) -> pd.DataFrame:
    """Money of each series by method: margin (`margin` a unit) of what was wanted, less all costs of stock, orders,
    waste and lost sales.
    """
    told = {name: margin * outcome.series["demand"] - outcome.series["cost"] for name, outcome in outcomes.items()}
    return situation_keys.reset_index(drop=True).assign(**told)


def _beginning(
    early: pd.DataFrame, keys: pd.MultiIndex, params: InventoryParams, stock: pd.DataFrame | None, step: int
) -> Situation:
    """The series with prices, costs and usual sales of the days before; no stock yet."""
    last = early["date"].max()
    recent = early[early["date"] > last - pd.Timedelta(days=RECENT_DAYS)]
    series = keys.to_frame(index=False)
    usage = (recent.groupby(list(KEYS))["quantity"].sum() / (RECENT_DAYS / step)).rename("usage")
    series = series.merge(usage.reset_index(), on=list(KEYS), how="left").fillna({"usage": 0.0})
    if "price" in early.columns:
        price = early.groupby(list(KEYS))["price"].median().rename("price")
        series = series.merge(price.reset_index(), on=list(KEYS), how="left")
    if stock is not None:
        known = [name for name in ("lead_days", "unit_cost", "price", "shelf_life_days") if name in stock.columns]
        own = stock.astype(dict.fromkeys(KEYS, str))[[*KEYS, *known]]
        series = series.drop(columns=[name for name in known if name in series]).merge(own, on=list(KEYS), how="left")
    series = series.assign(on_hand=0.0, on_order=0.0)
    return Situation(series, DemandLaw.of(np.zeros(len(series))), params)


def _learning(
    rows: pd.DataFrame, begin: pd.Timestamp, situation: Situation, make: Callable[[], Forecaster], step: int
) -> Outlook:
    """Forecasts fitted anew every REFIT_DAYS on the history before and the policy's own sales since."""
    keys, every = pd.MultiIndex.from_frame(situation.series[list(KEYS)]), max(REFIT_DAYS // step, 1)
    ahead = int(np.ceil(situation.days.max())) + every + WEEK
    inputs = [name for name in rows.columns if name not in ("quantity", "stock", "category")]
    daily, spread = np.zeros((len(keys), ahead)), np.ones(len(keys))

    def outlook(store: Store) -> tuple[DemandLaw, np.ndarray | None]:
        nonlocal daily, spread
        since = store.day % every
        if since == 0:
            seen = _seen(rows, begin, store, keys, step)
            model = make()
            model.fit(seen)
            known = rows.loc[rows["date"] > seen["date"].max(), inputs]
            told = model.predict(ahead, known)
            daily = told.pivot(index=list(KEYS), columns="date", values="mean").reindex(keys).fillna(0.0).to_numpy()
            periods = situation.series[list(KEYS)].assign(periods=np.ceil(situation.days).astype(np.int64))
            law = DemandLaw.of_forecast(model.totals(periods, known).set_index(list(KEYS)).reindex(keys).fillna(0.0))
            spread = np.maximum(law.sd**2 / np.maximum(law.mean, 1e-9), 1.0)
        share = np.clip(situation.days[:, None] - np.arange(ahead - every), 0.0, 1.0)
        mean = (daily[:, since : since + ahead - every] * share).sum(axis=1)
        week = daily[:, since : since + WEEK] if step == 1 else None
        return DemandLaw.of(mean, np.sqrt(spread * mean)), week

    return outlook


def _seen(rows: pd.DataFrame, begin: pd.Timestamp, store: Store, keys: pd.MultiIndex, step: int) -> pd.DataFrame:
    """History up to the evening of `store`: as it was before the replay, as the policy made it since."""
    dates = begin + pd.to_timedelta(np.arange(len(store.sold)) * step, unit="D")
    own = pd.DataFrame(
        {
            "_sold": store.sold.T.ravel(),
            "_left": store.left.T.ravel(),
            "date": np.tile(dates, len(keys)),
            **{name: np.repeat(keys.get_level_values(name), len(dates)) for name in KEYS},
        }
    )
    seen = rows[rows["date"] <= dates[-1]].merge(own, on=[*KEYS, "date"], how="left")
    mine = seen["_sold"].notna()
    left = seen["stock"] if "stock" in seen.columns else 1.0
    return seen.assign(
        quantity=seen["_sold"].where(mine, seen["quantity"]), stock=seen["_left"].where(mine, left)
    ).drop(columns=["_sold", "_left"])
