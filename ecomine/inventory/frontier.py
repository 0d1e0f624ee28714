"""What a higher service costs: money against the share of demand met, on the test days.

A point is a rule that holds one service target (or so many safety days) for all series. Its levels are set anew from
each fortnight's forecast, as it was then, and followed day by day on the wanted demand, so that a point takes one
simulation and no learning. Lead times are the same for all points; each begins with the stock that it aims at.
"""

import dataclasses

import numpy as np
import pandas as pd

from ecomine.inventory.backtest import Costs, Orders, Store, following, lead_times, simulate
from ecomine.inventory.features import WANTED
from ecomine.inventory.law import DemandLaw
from ecomine.inventory.model import Replenisher, in_periods
from ecomine.inventory.outlooks import View
from ecomine.inventory.params import InventoryParams
from ecomine.inventory.policies import SERVICE, Levels, by_forecast, days_of_cover
from ecomine.inventory.replay import BASELINE, MODEL, SAFETY_DAYS
from ecomine.inventory.situation import KEYS, Situation

TARGETS = (0.7, 0.8, 0.9, 0.95, 0.975, 0.99)
COLUMNS = ["method", "setting", "fill_rate", "cost", "holding_cost", "ordering_cost", "lost_cost", "waste_cost"]
CHOSEN = "chosen"
"""The method of one point: least cost with the settings as they are."""


def frontier(
    model: Replenisher, seen: list[View], series: pd.DataFrame, truth: pd.DataFrame, params: InventoryParams
) -> pd.DataFrame:
    """A row a rule: method (`model` by service target, `moving_average` by safety days, `chosen`), setting, fill_rate
    and money a day; sorted by method and setting. Series are those of `series` that had begun by the test.
    """
    known = series.merge(seen[0].told[list(KEYS)].assign(_row=np.arange(len(seen[0].told))), on=list(KEYS), how="inner")
    known = known.sort_values(list(KEYS), ignore_index=True)
    if known.empty:
        return pd.DataFrame(columns=COLUMNS)
    row = known.pop("_row").to_numpy()
    wanted = truth.pivot(index=list(KEYS), columns="date", values=WANTED)
    demand = wanted.reindex(pd.MultiIndex.from_frame(known[list(KEYS)])).fillna(0.0).to_numpy(float).T
    scaled = in_periods(params, model.step)
    situations = [_situation(known, view, row, scaled) for view in seen]
    first = situations[0]
    late_by = min(scaled.lead_sd**2, float(first.lead_days.min()) - 1)
    lead = lead_times(len(demand), first.lead_days - late_by, late_by, model.seed)
    warm_up = min(params.warm_up_days, params.test_days // 2) // model.step

    def point(method: str, setting: float, levels: list[Levels]) -> dict[str, object]:
        outcome = simulate(
            demand, _following(levels, seen, first), lead, Costs.of(first), np.maximum(levels[0].order_up_to, 0.0),
            min(warm_up, len(demand) - 1), first.column("shelf_life_days"),
        )  # fmt: skip
        told = outcome.summary()
        money = {name: told[name] / model.step for name in COLUMNS[3:]}
        return {"method": method, "setting": setting, "fill_rate": told["fill_rate"], **money}

    points = [point(CHOSEN, params.service_target, [by_forecast(one) for one in situations])]
    for target in TARGETS:
        asked = dataclasses.replace(scaled, objective=SERVICE, service_target=target)
        points.append(point(MODEL, target, [by_forecast(dataclasses.replace(one, params=asked)) for one in situations]))
    for safety in SAFETY_DAYS:
        plain = dataclasses.replace(scaled, safety_days=safety / model.step)
        rules = [days_of_cover(dataclasses.replace(one, params=plain)) for one in situations]
        points.append(point(BASELINE, safety, rules))
    return pd.DataFrame(points, columns=COLUMNS).sort_values(["method", "setting"], ignore_index=True)


def _situation(known: pd.DataFrame, view: View, row: np.ndarray, params: InventoryParams) -> Situation:
    told = view.told.iloc[row]
    law = DemandLaw.of(told["mean"].fillna(0.0).to_numpy(float), told["sd"].fillna(0.0).to_numpy(float))
    series = known.assign(on_hand=0.0, on_order=0.0, usage=view.recent[row])
    situation = Situation(series, DemandLaw.of(np.zeros(len(series))), params)
    # The law was told for whole periods; an order must last as long as its series says.
    return dataclasses.replace(situation, law=law.over(situation.days / view.periods[row]))


def _following(levels: list[Levels], seen: list[View], situation: Situation) -> Orders:
    least, pack = situation.column("minimum_order"), situation.column("pack_size")
    plans = [following(one, least, pack) for one in levels]
    begins = np.array([view.since for view in seen])

    def orders(store: Store) -> np.ndarray:
        if (store.day + 1) % situation.params.review_days:
            return np.zeros(len(store.on_hand))
        return plans[int(np.searchsorted(begins, store.day + 1, side="right")) - 1](store)

    return orders
