"""Learners of prices: they reach good prices, never leave what is allowed, and do the same again from the same seed."""

import gymnasium
import numpy as np
import pytest

import ecomine.simulation.environments  # noqa: F401
from benchmarks.pricing_rl import RATIO, shares
from ecomine.pricing.learning import LEARNERS, Safety, run
from ecomine.pricing.params import PriceRules


def known(items: int, seed: int = 0) -> dict[str, object]:
    cost = np.full(items, 0.6)
    rules = PriceRules(lowest=0.7, highest=1.5, margin_floor=0.1)
    return {
        "safety": Safety.of(RATIO, cost, rules, start=5, stride=1), "scale": np.ones(items),
        "log_ratio": np.log(RATIO), "cost_share": cost, "usual_units": np.full(items, 5.0), "seed": seed,
    }  # fmt: skip


@pytest.mark.parametrize("name", LEARNERS)
def test_ninety_per_cent_of_the_best_profit_are_learnt(name: str) -> None:
    earned = shares(name, 60, 180, 5)
    share = earned[:, 0] / earned[:, 1]
    assert share[-28:].mean() >= 0.9
    assert share[-28:].mean() > share[:7].mean() - 0.02


@pytest.mark.parametrize("name", LEARNERS)
def test_exploring_never_leaves_the_rules(name: str) -> None:
    environment = gymnasium.make_vec("ecomine/Pricing-v0", num_envs=30, days=10, levels=len(RATIO))
    learner, seen = LEARNERS[name](**known(30)), []
    run(learner, environment, 25, 1, lambda action, info: seen.append(action.copy()))
    asked = np.stack(seen)
    assert (RATIO[asked] >= 0.6 / 0.9 - 1e-9).all()
    assert ((RATIO[asked] >= 0.7) & (RATIO[asked] <= 1.5)).all()
    assert np.abs(np.diff(asked, axis=0)).max() <= 1
    assert len(asked) == 25


@pytest.mark.parametrize("name", LEARNERS)
def test_the_same_seed_does_the_same(name: str) -> None:
    assert (shares(name, 20, 20, 3) == shares(name, 20, 20, 3)).all()


def test_the_best_of_a_certain_demand_is_found() -> None:
    """Units 5 · ratio ** -2 without luck and a cost of 0.6: best is 1.2 times the list price."""
    for make in LEARNERS.values():
        learner = make(**known(40))
        for _ in range(300):
            action = learner.act()
            units = 5 * RATIO[action] ** -2.0
            learner.learn(action, (RATIO[action] - 0.6) * units, units)
        profit = (RATIO - 0.6) * RATIO**-2.0
        assert profit[learner.act()].mean() > 0.93 * profit.max()
