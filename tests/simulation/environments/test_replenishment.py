"""Orders whose worth can be worked out, and the oracle's levels against all others."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from ecomine.simulation import oracle
from ecomine.simulation.environments import forms, replenishment
from ecomine.simulation.environments.replenishment import Replenishment
from tests.simulation.environments.conftest import alike

PRODUCT = {"cost": 4.0, "reference_price": 8.0, "extra_units": 0.0, "lead_days": 4}


def world(items: int, units: float, days: int = 60, **more: float) -> Replenishment:
    given = {**PRODUCT, **more}
    given["lead_days"] = int(given["lead_days"])
    return Replenishment(alike(items, units, **given), days, holding_share=0.01, order_cost=2.0)


def test_a_days_money_by_hand() -> None:
    shop = world(12, 3.0)
    shop.begin(3)
    before = shop.shelf.on_hand[:, 0] + shop.shelf.arriving[0, :, 0]
    order = np.arange(12.0) % 3
    reward, info = shop.decide(order)
    price = shop.market(shop.day - 1).price[:, 0]
    assert (info["left"] == before - info["units"]).all()
    assert (info["lost"] == info["wanted"] - info["units"]).all()
    by_hand = (price - 4) * info["units"] - 0.04 * info["left"] - 0.25 * (price - 4) * info["lost"] - 2.0 * (order > 0)
    assert reward == pytest.approx(by_hand)


def test_what_is_lost_is_not_observed() -> None:
    """Two shops without stock, one that would sell ten times as much: their observations are the same."""
    seen = []
    for units in (3.0, 30.0):
        shop = world(10, units)
        shop.begin(1)
        shop.shelf.on_hand[:] = 0
        shop.shelf.rate[:] = 0.0
        shop.recent[:] = 0.0
        _, info = shop.decide(np.zeros(10))
        assert (info["lost"] == info["wanted"]).all() and info["wanted"].sum() > 0
        seen.append(forms.seen(shop))
    assert (seen[0] == seen[1]).all()


@pytest.mark.parametrize(("units", "extra"), [(0.4, 0.3), (3.0, 0.0), (12.0, 0.8)])
def test_no_other_levels_earn_much_more_than_the_oracles(units: float, extra: float) -> None:
    """Equal products run side by side, each with other levels: brute force in the environment itself."""
    points, quantities, copies = np.arange(-8, 13, 2), np.array([0.5, 1.0, 2.0]), 80
    grid = [(point, factor) for point in points for factor in quantities for _ in range(copies)]
    shift, factor = np.array(grid).T
    shop = world(len(grid), units, extra_units=extra)
    best = shop.best()
    point = np.maximum(best.reorder_point + shift, 0)
    others = replace(
        best, reorder_point=point, order_up_to=point + np.ceil(factor * (best.order_up_to - best.reorder_point))
    )
    policy = replenishment.by_demand(shop, others)
    earned = sum(forms.earned(shop, policy, episode) for episode in (1, 2)).reshape(-1, copies).mean(axis=1)
    here = earned[(shift.reshape(-1, copies)[:, 0] == 0) & (factor.reshape(-1, copies)[:, 0] == 1)][0]
    # The best of 33 means of 160 episodes each is up to two per cent above its own truth by chance.
    assert here > 0.96 * earned.max(), earned.reshape(len(points), -1).round(1)
    assert here > 1.03 * np.median(earned) or units > 1


def test_the_distribution_until_a_delivery_is_the_simulated_one() -> None:
    (rows, below), *more = oracle.lead_time_demand(np.array([3.0]), np.array([0.0]), np.array([4.0]))
    assert not more and rows.tolist() == [0]
    assert below[0, :40] == pytest.approx(stats.poisson.cdf(np.arange(40), 12.0))
    (_, below), *_ = oracle.lead_time_demand(np.array([2.0]), np.array([0.7]), np.array([3.0]), 0.6)
    random = np.random.default_rng(1)
    lines = random.poisson(2.0 / 1.7 * (3 + random.poisson(0.6, 200_000)))
    units = lines + random.poisson(0.7 * lines)
    drawn = np.searchsorted(np.sort(units), np.arange(30), side="right") / len(units)
    assert below[0, :30] == pytest.approx(drawn, abs=0.005)


def test_best_orders_are_the_best_of_all_points_and_quantities() -> None:
    mean, extra, days, margin, holding, order = 2.0, 0.3, 5.0, 3.0, 0.05, 1.0
    best = oracle.best_orders(mean, extra, days, margin, holding, order, late_days=0.0)
    (_, below), *_ = oracle.lead_time_demand(np.array([mean]), np.array([extra]), np.array([days]))
    missed = mean * days - np.concatenate([[0.0], np.cumsum(1 - below[0])[:-1]])
    point, quantity = np.meshgrid(np.arange(50), np.arange(1, 60), indexing="ij")
    value = oracle.order_value(point, quantity, missed[:50, None], mean, mean * days, margin, holding, order)
    assert best.value[0] >= value.max() * (1 - 1e-3)
    # What sells once in a blue moon and costs dear to hold is not kept at all.
    assert oracle.best_orders(0.01, 0.0, 5.0, 0.1, 1.0).order_up_to.tolist() == [0.0]
