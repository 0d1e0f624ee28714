"""Levels, constraints and what the policy decides."""

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecomine.errors import FeatureError, NotEnoughDataError, SettingsError
from ecomine.inventory import DemandForecaster, ForecastParams, InventoryParams, ReplenishmentPolicy, constraints
from ecomine.inventory.backtest import Costs, Store, lead_times, replanning, simulate
from ecomine.inventory.law import QUANTILES, DemandLaw
from ecomine.inventory.policies import POLICIES, Levels, days_of_cover
from ecomine.inventory.replenishment import DECIDED
from ecomine.inventory.situation import Situation


def situation(mean: list[float], params: InventoryParams | None = None, **columns: object) -> Situation:
    count = len(mean)
    series = pd.DataFrame(
        {
            "item_id": [f"i{number}" for number in range(count)], "location_id": "north", "on_hand": 0.0,
            "on_order": 0.0, "lead_days": 5.0, "price": 10.0, "unit_cost": 6.0,
        }
    ).assign(**columns)  # fmt: skip
    week = np.tile(np.array(mean)[:, None] / 5, (1, 7))
    return Situation(
        series, DemandLaw.of(np.array(mean), np.sqrt(2 * np.array(mean))), params or InventoryParams(), week
    )


@pytest.mark.parametrize("name", POLICIES)
def test_every_policy_holds_more_where_more_is_sold(name: str) -> None:
    levels = POLICIES[name](situation([0.0, 1.0, 10.0, 100.0]))
    assert levels.reorder_point[0] == -1 and levels.order_up_to[0] == 0
    assert (np.diff(levels.reorder_point) > 0).all() and (np.diff(levels.order_up_to) > 0).all()
    assert (levels.order_up_to[1:] > levels.reorder_point[1:]).all()
    assert (levels.reorder_point[1:] >= [1, 10, 100]).all() or name == "forecast"


def test_the_service_target_is_kept() -> None:
    for target in (0.9, 0.98, 0.999):
        now = situation([2.0, 30.0], InventoryParams(objective="service", service_target=target, lead_sd=0))
        levels = POLICIES["forecast"](now)
        quantity = levels.order_up_to - levels.reorder_point + np.round(now.undershoot[0])
        missing = now.from_reorder_point.loss(levels.reorder_point)
        one_less = now.from_reorder_point.loss(levels.reorder_point - 1)
        allowed = (1 - target) / target * quantity
        assert (missing <= allowed + 1e-9).all() and (one_less > allowed - 1e-9).all()


def test_cost_decides_between_holding_and_losing() -> None:
    dear = POLICIES["forecast"](situation([30.0], price=60.0)).reorder_point
    cheap = POLICIES["forecast"](situation([30.0], price=6.5)).reorder_point
    assert dear[0] > cheap[0]
    with pytest.raises(SettingsError, match="cost or service"):
        POLICIES["forecast"](situation([1.0], InventoryParams(objective="profit")))


def test_zones_of_demand_driven_replenishment() -> None:
    now = situation([50.0], usage=[10.0])
    now = replace(now, law=DemandLaw.of(50.0, 8.0))
    levels = POLICIES["demand_driven"](now)
    yellow, share = 50.0, np.interp(5, (3, 30), (1.0, 0.2))
    varied = np.interp(8 / 50 * np.sqrt(5 / 7), (0.2, 1.2), (0, 1))
    assert levels.reorder_point[0] == np.ceil(yellow * (1 + share * (1 + varied)))
    spike = replace(now, law=DemandLaw.of(70.0, 8.0))
    assert POLICIES["demand_driven"](spike).reorder_point[0] >= levels.reorder_point[0] + 20


def test_deliveries_come_before_the_period_of_demand() -> None:
    week, days = np.array([1.0, 1, 1, 1, 1, 4, 4]), 112
    demand = np.random.default_rng(5).poisson(np.tile(week, days // 7))[:, None]
    now = situation([13.0], InventoryParams(lead_sd=0, order_cost=3.0))

    def outlook(store: Store) -> tuple[DemandLaw, np.ndarray]:
        coming = np.roll(week, -(store.day + 1) % 7)
        return DemandLaw.of(coming[:5].sum()), coming[None]

    ordered: dict[str, np.ndarray] = {}
    for name in ("time_periods", "forecast"):
        orders, units = replanning(POLICIES[name], now, outlook), []
        simulate(
            demand, lambda store, orders=orders, units=units: units.append(orders(store)) or units[-1],
            lead_times(days, np.array([5.0])), Costs.of(now), np.array([20.0]),
        )  # fmt: skip
        # Of the evening of day 0 the delivery is on day 5.
        ordered[name] = np.bincount((np.arange(days) + 5) % 7, np.ravel(units), 7) / np.sum(units)
    assert ordered["time_periods"][5] > 0.6 > ordered["forecast"][5]
    with pytest.raises(SettingsError, match="day of the week"):
        POLICIES["time_periods"](replace(situation([5.0]), week=None))


def test_variability_spreads_the_same_money() -> None:
    now = situation([20.0, 20.0], InventoryParams(safety_days=4, lead_sd=0))
    now = replace(now, law=DemandLaw.of(np.array([20.0, 20.0]), np.array([5.0, 15.0])))
    safety = POLICIES["variability"](now).reorder_point - 20
    assert safety.sum() == pytest.approx(4 * 8, abs=2) and safety[1] == pytest.approx(3 * safety[0], abs=3)
    assert days_of_cover(now).reorder_point.tolist() == [36, 36]


ROWS = st.tuples(
    st.floats(0.1, 40), st.integers(0, 30), st.sampled_from([1.0, 2.0, 6.0, 0.5]), st.integers(0, 15),
    st.sampled_from([1.5, 3.0, 8.0]), st.sampled_from([np.nan, 3.0, 20.0]), st.integers(0, 1),
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(
    st.lists(ROWS, min_size=1, max_size=12),
    st.one_of(st.none(), st.floats(0, 300)),
    st.one_of(st.none(), st.floats(0, 120)),
    st.sampled_from([*POLICIES]),
)
def test_no_constraint_is_broken(rows: list[tuple], budget: float | None, storage: float | None, name: str) -> None:
    mean, have, pack, least, cost, life, place = (list(column) for column in zip(*rows, strict=True))
    now = situation(
        mean, InventoryParams(budget=budget, storage=storage), on_hand=have, pack_size=pack, minimum_order=least,
        unit_cost=cost, shelf_life_days=life, location_id=np.array(["a", "b"])[place],
    )  # fmt: skip
    levels = POLICIES[name](now)
    units, why = constraints.order(now, levels)
    given_pack, minimum = constraints.packs(now)
    assert (units >= 0).all() and np.allclose(units / given_pack, np.round(units / given_pack))
    assert (units[units > 0] >= minimum[units > 0] - 1e-9).all()
    assert (units[levels.short(now.position) == 0] == 0).all()
    if budget is not None:
        assert (units * now.unit_cost).sum() <= budget + 1e-6
    if storage is not None:
        for name in ("a", "b"):
            there = (now.series["location_id"] == name).to_numpy()
            assert units[there].sum() <= max(storage - now.position[there].sum(), 0) + 1e-6
    assert set(why) <= set(range(len(constraints.WHY)))
    assert len(constraints.reasons(why, now.position, levels)) == len(units)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.5, 8), st.integers(1, 4), st.sampled_from([1.0, 2.5, 4.0])), min_size=2, max_size=3),
    st.floats(1, 25),
)
def test_a_budget_is_spent_nearly_as_well_as_it_can_be(rows: list[tuple[float, int, float]], budget: float) -> None:
    mean, wanted, cost = (np.array(column, float) for column in zip(*rows, strict=True))
    now = situation(list(mean), InventoryParams(budget=budget), unit_cost=cost, price=cost * 3)
    levels = Levels.of(np.zeros(len(mean)), wanted)
    units, _ = constraints.order(now, levels)
    every = np.arange(len(mean))

    def worth(units: np.ndarray) -> float:
        return float(constraints.gain(now, np.zeros(len(units)), units, every).sum())

    best = max(
        worth(np.array(choice, float))
        for choice in itertools.product(*(range(int(one) + 1) for one in np.ceil(wanted)))
        if (np.array(choice) * cost).sum() <= budget + 1e-9
    )
    # The greedy choice is the best but for what one unit that no longer fits is worth.
    assert best - worth(units) <= float((now.lost).max()) + 1e-9
    if (np.ceil(wanted) * cost).sum() <= budget:
        assert units.tolist() == np.ceil(wanted).tolist()


def test_shelf_life_limits_an_order() -> None:
    free, short = situation([50.0]), situation([50.0], shelf_life_days=2.0)
    levels = POLICIES["forecast"](free)
    assert constraints.order(short, levels)[0][0] < constraints.order(free, levels)[0][0]
    assert "shelf life" in constraints.reasons(*_told(short, levels))[0]


def _told(now: Situation, levels: Levels) -> tuple[np.ndarray, np.ndarray, Levels]:
    return constraints.order(now, levels)[1], now.position, levels


def sales(days: int = 90, seed: int = 3) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    grid = pd.MultiIndex.from_product(
        [["a", "b", "c"], ["n", "s"], pd.date_range("2024-01-01", periods=days)],
        names=["item_id", "location_id", "date"],
    ).to_frame(index=False)
    rate = grid["item_id"].map({"a": 0.5, "b": 3.0, "c": 12.0})
    return grid.assign(quantity=random.poisson(rate).astype(float), category="x", price=5.0)


def test_decisions_stand_on_plain_frames() -> None:
    rows = sales()
    stock = rows[["item_id", "location_id"]].drop_duplicates().assign(
        on_hand=[0, 90, 4, 90, 20, 900], on_order=0.0, lead_days=4.0, price=5.0, unit_cost=3.0
    )  # fmt: skip
    before = stock.copy()
    told = ReplenishmentPolicy().fit(rows).decide(stock)
    assert tuple(told.columns) == DECIDED and not told.isna().any(axis=None)
    assert told["order_now"].tolist() == [True, False, True, False, True, False]
    assert (told.loc[told["order_now"], "units"] > 0).all() and (told.loc[~told["order_now"], "units"] == 0).all()
    assert told["stock_out_date"].tolist()[0] == "2024-03-31"
    assert (np.diff(told[list(QUANTILES)].to_numpy(), axis=1) >= 0).all()
    pd.testing.assert_frame_equal(stock, before)
    again = ReplenishmentPolicy().fit(rows.sample(frac=1, random_state=1)).decide(stock.sample(frac=1, random_state=2))
    pd.testing.assert_frame_equal(told, again)


def test_orders_rest_on_any_forecaster() -> None:
    rows = sales(70)
    stock = rows[["item_id", "location_id"]].drop_duplicates().assign(on_hand=5.0, on_order=0.0, lead_days=4.0)
    learnt = DemandForecaster(ForecastParams(horizon=8, rounds=15, classics=[], rows=2000), threads=1)
    told = ReplenishmentPolicy(forecaster=learnt).fit(rows).decide(stock)
    plain = ReplenishmentPolicy().fit(rows).decide(stock)
    assert tuple(told.columns) == DECIDED and not told.isna().any(axis=None)
    assert (told["order_up_to"] - plain["order_up_to"]).abs().max() <= 0.35 * plain["order_up_to"].max()


def test_what_money_is_unknown_is_assumed() -> None:
    bare = situation([10.0, 10.0]).series.drop(columns=["price", "unit_cost"])
    law = DemandLaw.of(np.array([10.0, 10.0]))
    nothing = Situation(bare, law, InventoryParams(margin=0.4))
    costs_known = Situation(bare.assign(unit_cost=[6.0, np.nan]), law, InventoryParams(margin=0.4))
    assert nothing.price.tolist() == [1, 1] and nothing.unit_cost.tolist() == pytest.approx([0.6, 0.6])
    assert costs_known.price.tolist() == pytest.approx([10, 1])
    assert (POLICIES["forecast"](nothing).order_up_to > 0).all()
    with pytest.raises(FeatureError, match="no number"):
        DemandLaw.of(np.array([np.nan]))


def test_errors_say_what_to_do() -> None:
    policy = ReplenishmentPolicy().fit(sales(30))
    with pytest.raises(FeatureError, match="on_order"):
        policy.decide(pd.DataFrame({"item_id": ["a"], "location_id": ["n"], "on_hand": [1]}))
    nobody = pd.DataFrame({"item_id": ["z"], "location_id": ["n"], "on_hand": [1.0], "on_order": [0.0]})
    with pytest.raises(NotEnoughDataError, match="history"):
        policy.decide(nobody)
    known = nobody.assign(item_id="a", price=2.0)
    with pytest.raises(SettingsError, match="safety_stock"):
        ReplenishmentPolicy(InventoryParams(policy="guess")).fit(sales(30)).decide(known)
    with pytest.raises(FeatureError, match="twice"):
        policy.decide(pd.concat([known, known]))
