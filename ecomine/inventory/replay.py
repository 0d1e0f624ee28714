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
from ecomine.inventory.backtest import Costs, Outcome, Outlook, Store, lead_times, moving_average, replanning, simulate
from ecomine.inventory.law import DemandLaw
from ecomine.inventory.params import InventoryParams
from ecomine.inventory.policies import days_of_cover, policy
from ecomine.inventory.rates import RateForecaster
from ecomine.inventory.replenishment import Forecaster
from ecomine.inventory.situation import KEYS, WEEK, Situation

MODEL, BASELINE = "model", "moving_average"
REFIT_DAYS = 14
LEAST_HISTORY = 56


def replay(
    rows: pd.DataFrame,
    params: InventoryParams | None = None,
    stock: pd.DataFrame | None = None,
    make: Callable[[], Forecaster] = RateForecaster,
    days: int = 56,
    warm_up: int = 28,
    seed: int = 42,
) -> dict[str, Outcome]:
    """Outcomes by method, `model` (the policy of `params`) and `moving_average`; series in the order of KEYS.

    `rows` are daily sales as for a forecaster, days without sales included; the last `warm_up` + `days` are replayed.
    `stock` gives lead_days, unit_cost and price of series, where they are known: item_id, location_id and these. Series
    that began after the replay are left out. Raises NotEnoughDataError where less than LEAST_HISTORY days remain.
    """
    params = params or InventoryParams()
    rows = rows.assign(date=pd.to_datetime(rows["date"]), **{name: rows[name].astype(str) for name in KEYS})
    rows = rows.sort_values([*KEYS, "date"], kind="stable", ignore_index=True)
    begin = rows["date"].max() - pd.Timedelta(days=warm_up + days - 1)
    before = (rows["date"] < begin).groupby([rows[name] for name in KEYS]).transform("sum").to_numpy()
    rows, whole = rows[before > 0].reset_index(drop=True), (begin - rows["date"].min()).days
    if whole < LEAST_HISTORY or rows.empty:
        raise NotEnoughDataError(
            f"{max(whole, 0)} days of history before a replay of {warm_up + days} days; expected {LEAST_HISTORY} or "
            "more. Replay fewer days or bring a longer history."
        )
    wanted = rows.assign(wanted=np.round(RateForecaster(seed=seed).fit(rows).units))
    late = wanted[wanted["date"] >= begin]
    demand = late.pivot(index=list(KEYS), columns="date", values="wanted").fillna(0.0)
    situation = _beginning(rows[rows["date"] < begin], demand.index, params, stock)
    # Without the column, the plain rule reads usual sales off the moving average's law.
    plainly = replace(situation, series=situation.series.drop(columns="usage"))
    start = days_of_cover(replace(situation, law=DemandLaw.of(situation.series["usage"] * situation.days)))
    course = {
        MODEL: replanning(policy(params.policy), situation, _learning(rows, begin, situation, make)),
        BASELINE: replanning(days_of_cover, plainly, moving_average(plainly)),
    }
    lead = lead_times(warm_up + days, situation.lead_days, params.lead_sd, seed)
    return {
        name: simulate(
            demand.to_numpy().T, orders, lead, Costs.of(situation), start.order_up_to, warm_up,
            situation.column("shelf_life_days"),
        )
        for name, orders in course.items()
    }  # fmt: skip


def values(outcomes: dict[str, Outcome], situation_keys: pd.DataFrame, lost: np.ndarray | float = 0.0) -> pd.DataFrame:
    """Money of each series by method: margin of what was sold (`lost` a unit) less holding, orders and waste."""
    told = {
        name: lost * outcome.series["sold"]
        - outcome.series[["holding_cost", "ordering_cost", "waste_cost"]].sum(axis=1)
        for name, outcome in outcomes.items()
    }
    return situation_keys.reset_index(drop=True).assign(**told)


def _beginning(
    early: pd.DataFrame, keys: pd.MultiIndex, params: InventoryParams, stock: pd.DataFrame | None
) -> Situation:
    """The series with prices, costs and usual sales of the days before; no stock yet."""
    last = early["date"].max()
    recent = early[early["date"] > last - pd.Timedelta(days=4 * WEEK)]
    series = keys.to_frame(index=False)
    usage = (recent.groupby(list(KEYS))["quantity"].sum() / (4 * WEEK)).rename("usage")
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


def _learning(rows: pd.DataFrame, begin: pd.Timestamp, situation: Situation, make: Callable[[], Forecaster]) -> Outlook:
    """Forecasts fitted anew every REFIT_DAYS on the history before and the policy's own sales since."""
    keys = pd.MultiIndex.from_frame(situation.series[list(KEYS)])
    ahead = int(np.ceil(situation.days.max())) + REFIT_DAYS + WEEK
    inputs = [name for name in rows.columns if name not in ("quantity", "stock", "category")]
    daily, spread = np.zeros((len(keys), ahead)), np.ones(len(keys))

    def outlook(store: Store) -> tuple[DemandLaw, np.ndarray | None]:
        nonlocal daily, spread
        step = store.day % REFIT_DAYS
        if step == 0:
            seen = _seen(rows, begin, store, keys)
            model = make()
            model.fit(seen)
            known = rows.loc[rows["date"] > seen["date"].max(), inputs]
            told = model.predict(ahead, known)
            daily = told.pivot(index=list(KEYS), columns="date", values="mean").reindex(keys).fillna(0.0).to_numpy()
            periods = situation.series[list(KEYS)].assign(periods=np.ceil(situation.days).astype(np.int64))
            law = DemandLaw.of_forecast(model.totals(periods, known).set_index(list(KEYS)).reindex(keys).fillna(0.0))
            spread = np.maximum(law.sd**2 / np.maximum(law.mean, 1e-9), 1.0)
        share = np.clip(situation.days[:, None] - np.arange(ahead - REFIT_DAYS), 0.0, 1.0)
        mean = (daily[:, step : step + ahead - REFIT_DAYS] * share).sum(axis=1)
        return DemandLaw.of(mean, np.sqrt(spread * mean)), daily[:, step : step + WEEK]

    return outlook


def _seen(rows: pd.DataFrame, begin: pd.Timestamp, store: Store, keys: pd.MultiIndex) -> pd.DataFrame:
    """History up to the evening of `store`: as it was before the replay, as the policy made it since."""
    dates = begin + pd.to_timedelta(np.arange(len(store.sold)), unit="D")
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
