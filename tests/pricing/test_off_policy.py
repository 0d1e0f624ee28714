"""Judging prices from another policy's log: a known law is found, exploration keeps its propensities, and what the log
cannot tell it does not claim."""

import gymnasium
import numpy as np
import pytest

import ecomine.simulation.environments  # noqa: F401
from ecomine.pricing.off_policy import Explorer, History, estimates, logged

RATIO = np.exp(np.linspace(np.log(0.7), np.log(1.5), 8))
ITEMS, DAYS = 25, 98


def explorer(allowed: np.ndarray | None = None, items: int = ITEMS) -> Explorer:
    allowed = np.ones((items, len(RATIO)), bool) if allowed is None else allowed
    return Explorer(allowed, np.full(items, 3), seed=4)


@pytest.fixture(scope="module")
def law() -> tuple[History, np.ndarray, np.ndarray]:
    """A log of Poisson sales at known elasticities; base, elasticity."""
    random = np.random.default_rng(2)
    base, elasticity = random.uniform(4, 12, ITEMS), random.uniform(1.5, 2.5, ITEMS)
    asks = explorer()
    level = np.stack([asks.act() for _ in range(DAYS)])
    price = 10 * RATIO[level]
    units = random.poisson(base * RATIO[level] ** -elasticity).astype(float)
    return History(level, price, units, (price - 6) * units, asks.propensity), base, elasticity


def test_an_explorer_draws_by_its_propensities() -> None:
    allowed = np.ones((ITEMS, len(RATIO)), bool)
    allowed[:, :2] = False
    asks = explorer(allowed)
    drawn = np.stack([asks.act() for _ in range(400)])
    share = np.bincount(drawn.ravel(), minlength=len(RATIO)) / drawn.size
    assert share == pytest.approx(asks.propensity[0], abs=0.015)
    assert asks.propensity.sum(axis=1) == pytest.approx(1.0)
    assert share[:2].sum() == 0


def test_the_value_of_other_prices_is_found(law: tuple[History, np.ndarray, np.ndarray]) -> None:
    history, base, elasticity = law
    for level in (1, 5):
        target = np.full(ITEMS, level)
        truth = ((10 * RATIO[level] - 6) * base * RATIO[level] ** -elasticity).mean()
        told = estimates(history, target, np.log(RATIO), np.full(ITEMS, 6.0)).set_index("estimator")
        assert told.loc["dr", "low"] <= truth <= told.loc["dr", "high"]
        assert told.loc["dr", "value"] == pytest.approx(truth, rel=0.06)
        assert told.loc["dr", "high"] - told.loc["dr", "low"] < told.loc["ips", "high"] - told.loc["ips", "low"]


def test_prices_that_the_log_never_tried_are_not_claimed(law: tuple[History, np.ndarray, np.ndarray]) -> None:
    history, _, _ = law
    never = History(
        np.where(history.level == 7, 6, history.level), history.price, history.units, history.reward, history.propensity
    )
    told = estimates(never, np.full(ITEMS, 7), np.log(RATIO), np.full(ITEMS, 6.0)).set_index("estimator")
    assert np.isnan(told.loc["snips", "value"])
    assert "are needed for a claim" in told.loc["snips", "why"]


def test_a_log_of_the_environment_is_complete() -> None:
    environment = gymnasium.make_vec("ecomine/Pricing-v0", num_envs=10, days=7, levels=len(RATIO))
    history = logged(explorer(items=10), environment, 20, 3)
    assert history.level.shape == history.price.shape == history.units.shape == history.reward.shape == (20, 10)
    cost = environment.world.shop.goods.cost
    assert history.reward == pytest.approx((history.price - cost) * history.units)
