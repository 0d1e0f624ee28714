"""Prices whose demand can be worked out by hand."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from ecomine.simulation import demand, oracle, sessions
from ecomine.simulation.environments import pricing
from ecomine.simulation.environments.assortment import assortment
from tests.simulation.environments.conftest import alike

COST, REFERENCE, ELASTICITY = 4.0, 10.0, 2.0


def test_expected_units_and_margin_by_hand() -> None:
    """Without other products and rivals: base · weekday · season · the mean of (p / r) ** (-2 · sensitivity)."""
    world = pricing.Pricing(alike(9, 5.0, cost=COST, reference_price=REFERENCE, elasticity=ELASTICITY))
    world.begin(7)
    day, asked = world.day, world.list_price
    reward, info = world.decide(np.full(9, 0.8))
    price = np.round(asked * 0.8, 2)
    factor = 0.0
    for sensitivity, share in zip(demand.SENSITIVITY, demand.SENSITIVITY_SHARE, strict=True):
        factor += share * (price / REFERENCE) ** (-ELASTICITY * sensitivity)
    of_year = (world.params.start.timetuple().tm_yday - 1 + day) % 365
    by_hand = 5.0 * sessions.day_factor(world.params, day) * demand.season(0, of_year) * factor
    assert info["expected"] == pytest.approx(by_hand)
    assert (info["price"] == price).all()
    assert reward == pytest.approx((price - COST) * info["units"])
    assert (info["units"] <= info["wanted"]).all()


def test_the_best_price_alone_is_the_best_of_all_ratios_tried() -> None:
    """A thousand equal products, each at another price for ten days, by expected units."""
    world = pricing.Pricing(alike(1000, 5.0, cost=COST, reference_price=REFERENCE, elasticity=ELASTICITY))
    world.begin(1)
    ratio = np.linspace(0.6, 1.6, 1000)
    profit, best = np.zeros(1000), 0.0
    for _ in range(10):
        _, info = world.decide(ratio)
        profit += (info["price"] - COST) * info["expected"]
        best += info["best_ratio_alone"].mean() / 10
    assert ratio[profit.argmax()] == pytest.approx(best, abs=0.06)
    assert world.best == pytest.approx(world.best_alone, rel=1e-3)


def test_prices_best_together_beat_prices_best_one_by_one_and_stand_at_a_maximum() -> None:
    shop = assortment(40)
    goods = shop.goods
    live = np.ones(40, bool)

    def profit(log_ratio: np.ndarray) -> float:
        context = demand.context(
            log_ratio[:, None],
            0.6 * log_ratio,
            goods.leaf,
            live,
            goods.cross,
            goods.complement,
            goods.complementary,
            goods.rival,
        )[:, 0]
        units = shop.base * np.exp(context) * demand.expected_response(log_ratio, goods.elasticity)
        return float(((goods.reference_price * np.exp(log_ratio) - goods.cost) * units).sum())

    alone = np.log(oracle.optimal_price(goods.reference_price, goods.cost, goods.elasticity) / goods.reference_price)
    best = np.log(oracle.best_prices(goods, shop.base, 0.3, 4.0) / goods.reference_price)
    assert profit(best) > 1.01 * profit(alone)
    slope = approx_fprime(best, profit, 1e-6)
    inner, top = (best > np.log(0.31)) & (best < np.log(3.99)), best >= np.log(3.99)
    assert inner.sum() > 5
    assert np.abs(slope[inner]).max() < 0.002 * profit(best)
    assert (slope[top] > 0).all()
