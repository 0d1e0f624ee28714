"""Bandits that learn, contacts that tire, and placement that keeps every rule."""

from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecomine.ads import policy
from ecomine.ads.bandits import BANDITS
from ecomine.ads.fatigue import ContactQ
from ecomine.ads.params import PlacementRules
from ecomine.errors import FeatureError

NOW = datetime(2024, 5, 6, 12)
TRUE = np.array([[0.1, 0.3, 0.0], [0.2, 0.0, 0.2], [0.3, -0.1, -0.1]])
"""Arms × (level, slopes) of the probability of a response."""


@pytest.mark.parametrize("name", BANDITS)
def test_regret_flattens(name: str) -> None:
    random, bandit, regret = np.random.default_rng(1), BANDITS[name](3, 3, seed=2), []
    for _ in range(60):
        context = np.column_stack([np.ones(200), random.random((200, 2))])
        chance = context @ TRUE.T
        arm, propensity = bandit.choose(context)
        assert ((propensity > 0) & (propensity <= 1)).all()
        row = np.arange(200)
        bandit.learn(context, arm, (random.random(200) < chance[row, arm]).astype(float))
        regret.append((chance.max(axis=1) - chance[row, arm]).mean())
    at_random = (chance.max(axis=1) - chance.mean(axis=1)).mean()
    assert np.mean(regret[-15:]) < 0.25 * at_random
    assert np.mean(regret[-15:]) < 0.6 * np.mean(regret[:5])


@pytest.mark.parametrize("name", BANDITS)
def test_logged_propensities_are_true(name: str) -> None:
    bandit = BANDITS[name](3, 2, seed=3, explore=0.1)
    random = np.random.default_rng(4)
    start = np.column_stack([np.ones(60), random.random(60)])
    bandit.learn(start, random.integers(0, 3, 60), random.random(60))
    context, allowed = np.tile([1.0, 0.5], (20_000, 1)), np.tile([True, False, True], (20_000, 1))
    arm, propensity = bandit.choose(context, allowed)
    assert set(arm) == {0, 2}
    near = 0.02 if name == "linucb" else 0.12
    for number in (0, 2):
        assert (arm == number).mean() == pytest.approx(propensity[arm == number].mean(), abs=near)
    # Weighted by the inverse, each allowed arm stands for all people.
    assert (1 / propensity)[arm == 0].sum() == pytest.approx(20_000, rel=0.15)
    none, zero = bandit.choose(context[:2], np.zeros((2, 3), bool))
    assert none.tolist() == [-1, -1] and zero.tolist() == [0, 0]
    with pytest.raises(FeatureError, match="made for 2"):
        bandit.choose(np.ones((2, 5)))


def test_when_to_contact_is_learnt_as_by_dynamic_programming() -> None:
    """A contact earns 1 less 0.45 for each contact of the last four days, and costs 0.2."""
    days, states = 4, np.arange(16)
    gain = 0.8 - 0.45 * np.array([bin(state).count("1") for state in states])
    best = np.zeros(16)
    for _ in range(400):
        wait, contact = 0.9 * best[(states * 2) % 16], gain + 0.9 * best[(states * 2 + 1) % 16]
        best = np.maximum(wait, contact)
    learner, random = ContactQ(days, seed=1, explore=0.3), np.random.default_rng(5)
    state = np.zeros(500, int)
    for _ in range(500):
        action, propensity = learner.choose(state)
        assert ((propensity >= 0.15 - 1e-9) & (propensity <= 0.85 + 1e-9)).all()
        reward = action * (gain[state] + random.normal(0, 0.5, 500))
        learner.learn(state, action, reward)
        state = learner.after(state, action)
    met = learner.met.sum(axis=(0, 2)) > 2000
    assert met.sum() >= 8
    differ = np.abs(wait - contact) > 0.1
    agrees = (learner.value[0, :, 1] > learner.value[0, :, 0]) == (contact > wait)
    assert agrees[met & differ].all()
    assert (contact > wait)[0] and not (contact > wait)[15]


def made(users: int, campaigns: int, seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    user, campaign = (part.ravel() for part in np.meshgrid(np.arange(users), np.arange(campaigns), indexing="ij"))
    return pd.DataFrame(
        {
            "user_id": [f"u{k:03}" for k in user], "campaign_id": [f"c{k}" for k in campaign], "creative_id": "a",
            "item_id": [f"i{k}" for k in campaign], "uplift": random.uniform(-0.02, 0.1, len(user)),
            "value": 10.0, "cost": random.uniform(0.05, 0.3, len(user)).round(3),
        }
    )  # fmt: skip


def running(campaigns: int, **more: object) -> pd.DataFrame:
    names = [f"c{k}" for k in range(campaigns)]
    return pd.DataFrame({"campaign_id": names, "start_date": pd.Timestamp("2024-05-01"), **more})


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 4), st.floats(0.2, 3))
def test_rules_are_never_broken(seed: int, campaigns: int, budget: float) -> None:
    candidates, random = made(30, campaigns, seed), np.random.default_rng(seed)
    past = pd.DataFrame(
        {
            "user_id": [f"u{k:03}" for k in random.integers(0, 30, 60)], "campaign_id": "c0",
            "event_timestamp": [NOW - timedelta(days=float(d)) for d in random.uniform(0, 10, 60)],
        }
    )  # fmt: skip
    around = policy.Surroundings(
        NOW, running(campaigns, budget=budget, spent=0.1), consent=candidates["user_id"].drop_duplicates().iloc[:25],
        contacts=past, flagged=pd.Series(["u003", "u004"]),
        stock=pd.DataFrame({"item_id": ["i0"], "days_of_stock": [2.0]}),
    )  # fmt: skip
    told = policy.decide(candidates, around)
    chosen = told[told["chosen"]].merge(candidates, on=["user_id", "campaign_id", "creative_id"])
    assert not chosen["user_id"].duplicated().any()
    assert (chosen["expected_incremental_profit"] > 0).all()
    assert (chosen.groupby("campaign_id")["cost"].sum() <= 0.55 * budget - 0.1 + 1e-6).all()
    assert not chosen["user_id"].isin(["u003", "u004"]).any() and (chosen["user_id"] < "u025").all()
    assert not (chosen["campaign_id"] == "c0").any()
    week = past[past["event_timestamp"] > NOW - timedelta(days=7)].groupby("user_id").size()
    assert (chosen["user_id"].map(week).fillna(0) < 3).all()
    assert (told["reason"] != "").all() and (told["chosen"] == (told["reason"] == policy.CHOSEN)).all()
    shuffled = policy.decide(candidates.sample(frac=1, random_state=seed), around)
    pd.testing.assert_frame_equal(told, shuffled)


def test_reasons_by_hand() -> None:
    candidates = made(6, 2, 1).assign(uplift=0.05, cost=0.1)
    candidates.loc[candidates["user_id"] == "u005", "uplift"] = 0.005
    candidates.loc[candidates["campaign_id"] == "c1", "uplift"] *= 1.5
    around = policy.Surroundings(
        NOW,
        running(2, budget=[0.45, 0.25], priority=[0, 1]),
        consent=pd.Series([f"u00{k}" for k in range(1, 6)]),
        flagged=pd.Series(["u001"]),
    )
    told = policy.decide(candidates, around, PlacementRules(pacing_slack=0.5)).set_index(["user_id", "campaign_id"])
    reason = told["reason"]
    assert reason["u000"].tolist() == [policy.NO_CONSENT] * 2
    assert reason["u001"].tolist() == [policy.FLAGGED] * 2
    assert reason["u005"].tolist() == [policy.NOT_WORTH_IT] * 2
    # c1 comes first and has money for two; the third is c0's, which has money for four.
    assert (reason == policy.CHOSEN).sum() == 3
    assert reason["u002"].tolist() == [policy.BETTER, policy.CHOSEN]
    assert reason["u004"].tolist() == [policy.CHOSEN, policy.BETTER]
    assert told["expected_incremental_profit"].loc["u002", "c1"] == pytest.approx(0.075 * 10 - 0.1)


def test_lifetime_value_raises_worth_and_pacing_saves_money_for_the_evening() -> None:
    assert policy.worth(np.array([0.1]), np.array([2.0]), np.array([0.3]))[0] == pytest.approx(-0.1)
    assert policy.worth(np.array([0.1]), np.array([2.0]), np.array([0.3]), 50.0, 0.1)[0] == pytest.approx(0.4)
    candidates = made(40, 1, 2).assign(uplift=0.05, cost=0.1)
    spent = []
    for hour in (6, 12, 23):
        around = policy.Surroundings(NOW.replace(hour=hour, minute=59), running(1, budget=3.0))
        told = policy.decide(candidates, around, PlacementRules(pacing_slack=0.0))
        spent.append(told["chosen"].sum() * 0.1)
    assert spent == pytest.approx([3 * 7 / 24, 3 * 13 / 24, 3.0], abs=0.11)


def test_unsound_candidates_are_refused() -> None:
    candidates = made(3, 1, 1)
    around = policy.Surroundings(NOW, running(1))
    with pytest.raises(FeatureError, match="lack uplift"):
        policy.decide(candidates.drop(columns="uplift"), around)
    with pytest.raises(FeatureError, match="twice"):
        policy.decide(pd.concat([candidates, candidates]), around)
