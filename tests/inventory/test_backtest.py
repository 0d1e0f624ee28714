"""The simulation of policies: units are conserved, a case by hand, the same random numbers, what shelf lives do."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecomine.errors import FeatureError, NotEnoughDataError
from ecomine.inventory import InventoryParams
from ecomine.inventory.backtest import Costs, Store, following, lead_times, moving_average, replanning, simulate
from ecomine.inventory.law import DemandLaw
from ecomine.inventory.policies import POLICIES, Levels, days_of_cover
from ecomine.inventory.situation import Situation


def costs(count: int, holding: float = 0.1, lost: float = 5.0, order: float = 2.0, waste: float = 1.0) -> Costs:
    return Costs(*(np.full(count, value) for value in (holding, lost, order, waste)))


def test_a_case_by_hand() -> None:
    demand = np.array([[3], [4], [2], [5], [1], [0], [6]])
    levels = Levels.of(np.array([4.0]), np.array([9.0]))
    told = simulate(demand, following(levels), np.full((7, 1), 2), costs(1), np.array([8.0]))
    # Evening stock and order: 5; 1, orders 8; 0 (1 of 2 sold); 8 come: 3, orders 6; 2; 6 come: 8; 2, orders 7.
    row = told.series.iloc[0]
    assert told.course["held"].tolist() == [5, 1, 0, 3, 2, 8, 2]
    assert told.course["ordered"].tolist() == [0, 8, 0, 6, 0, 0, 7]
    assert (row["demand"], row["sold"], row["lost"], row["orders"], row["days_short"]) == (21, 20, 1, 3, 1)
    assert (row["cycles"], row["cycles_short"]) == (3, 1)
    assert row["cost"] == pytest.approx(0.1 * 21 + 2 * 3 + 5 * 1)
    summary = told.summary()
    assert summary["fill_rate"] == pytest.approx(20 / 21) and summary["cycle_service"] == pytest.approx(2 / 3)
    assert summary["turns"] == pytest.approx(20 / 3 * 365 / 7)


def test_the_warm_up_is_not_counted() -> None:
    demand = np.array([[3], [4], [2], [5], [1], [0], [6]])
    levels = Levels.of(np.array([4.0]), np.array([9.0]))
    late = simulate(demand, following(levels), np.full((7, 1), 2), costs(1), np.array([8.0]), warm_up=3)
    row = late.series.iloc[0]
    assert (row["demand"], row["sold"], row["orders"], row["held"]) == (12, 12, 2, 15) and late.days == 4
    with pytest.raises(NotEnoughDataError, match="warm-up"):
        simulate(demand, following(levels), np.full((7, 1), 2), costs(1), np.array([8.0]), warm_up=7)
    with pytest.raises(FeatureError, match="shape"):
        simulate(demand, lambda store: np.array([-1.0]), np.full((7, 1), 2), costs(1), np.array([8.0]))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(2, 40), st.booleans())
def test_units_are_conserved(seed: int, count: int, days: int, perish: bool) -> None:
    random = np.random.default_rng(seed)
    demand = random.poisson(random.gamma(1, 3, count), (days, count))
    life = np.where(random.random(count) < 0.5, random.integers(1, 6, count).astype(float), np.nan) if perish else None
    first = random.integers(0, 20, count).astype(float)
    point = random.integers(0, 10, count).astype(float)
    orders = following(Levels.of(point, point + random.integers(1, 9, count)))
    lead = lead_times(days, random.integers(1, 5, count).astype(float), 0.5, seed)
    told = simulate(demand, orders, lead, costs(count), first, 0, life).series
    there = first + told["ordered"] - told["on_order"]
    assert np.allclose(there, told["sold"] + told["wasted"] + told["on_hand"])
    assert np.allclose(told["demand"], told["sold"] + told["lost"])
    assert (told["sold"] <= told["demand"]).all() and (told["on_hand"] >= 0).all()
    if life is not None:
        assert np.allclose(told["wasted"][np.isnan(life)], 0)


def test_old_units_go_out_the_oldest_first() -> None:
    demand = np.array([[0], [1], [0], [0], [0]])
    once = iter([2.0, 0, 0, 0, 0])
    told = simulate(
        demand, lambda store: np.array([next(once)]), np.full((5, 1), 1), costs(1), np.array([3.0]), 0, np.array([2.0])
    )
    # Three are there from day 0 and may be sold on days 0 and 1: one is. Two come on day 1 and leave on day 3.
    assert told.course["held"].tolist() == [3, 4, 2, 0, 0]
    assert told.series["wasted"].tolist() == [4]


def test_policies_meet_the_same_chance() -> None:
    lead = np.array([3.0, 6.0])
    one, other = lead_times(50, lead, 0.6, 9), lead_times(50, lead, 0.6, 9)
    assert (one == other).all() and not (one == lead_times(50, lead, 0.6, 10)).all()
    assert (one >= lead).all() and abs((one - lead).mean() - 0.6) < 0.2
    demand = np.random.default_rng(1).poisson(4.0, (50, 2))
    rare = simulate(
        demand, following(Levels.of(np.array([5.0, 9]), np.array([30.0, 40]))), one, costs(2), np.full(2, 20.0)
    )
    again = simulate(
        demand, following(Levels.of(np.array([5.0, 9]), np.array([30.0, 40]))), one, costs(2), np.full(2, 20.0)
    )
    pd.testing.assert_frame_equal(rare.series, again.series)


def even(count: int = 60, days: int = 220) -> tuple[np.ndarray, Situation]:
    random = np.random.default_rng(4)
    rate, lead = random.gamma(1, 3, count) + 0.05, random.integers(2, 13, count).astype(float)
    demand = random.negative_binomial(rate / 0.7, 1 / 1.7, (days, count))
    series = pd.DataFrame(
        {
            "item_id": np.arange(count).astype(str), "location_id": "n", "on_hand": 0.0, "on_order": 0.0,
            "price": 10.0, "unit_cost": 6.0, "lead_days": lead,
        }
    )  # fmt: skip
    law = DemandLaw.of(rate * lead, np.sqrt(1.7 * rate * lead))
    return demand, Situation(series, law, InventoryParams(lead_sd=0), np.tile(rate[:, None], (1, 7)))


def test_the_forecast_policy_is_near_the_best_levels_there_are() -> None:
    demand, now = even()
    lead, money = lead_times(len(demand), now.lead_days), Costs.of(now)
    start = np.ceil(2 * now.law.mean)
    best = POLICIES["forecast"](now)

    def cost(move: float, grow: float) -> float:
        levels = Levels.of(best.reorder_point + move, best.order_up_to + move + grow)
        return simulate(demand, following(levels), lead, money, start, 40).cost

    own = cost(0, 0)
    around = [cost(move, grow) for move in (-3, -1, 1, 3) for grow in (-3, 0, 3)]
    assert own < 1.03 * min(around)
    plain = simulate(demand, replanning(days_of_cover, now, moving_average(now)), lead, money, start, 40)
    assert own < 0.85 * plain.cost


def test_replanning_sees_no_more_than_the_evening() -> None:
    demand, now = even(3, 30)
    seen = []

    def outlook(store: Store) -> tuple[DemandLaw, None]:
        seen.append((store.day, len(store.sold)))
        assert (store.sold <= demand[: store.day + 1]).all()
        return now.law, None

    simulate(
        demand, replanning(POLICIES["safety_stock"], now, outlook, every=7), lead_times(30, now.lead_days),
        Costs.of(now), np.full(3, 9.0),
    )  # fmt: skip
    assert seen == [(day, day + 1) for day in range(0, 30, 7)]
