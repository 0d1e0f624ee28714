"""Frames that are drawn, on an experiment whose effects are known."""

import numpy as np
import pandas as pd
import pytest

from ecomine.ads.plots import NOBODY, budget, off_policy, qini

RANDOM = np.random.default_rng(11)
PEOPLE = 20_000
MOVED = RANDOM.random(PEOPLE) < 0.3
TREATED = (RANDOM.random(PEOPLE) < 0.5).astype(float)
ANSWER = (RANDOM.random(PEOPLE) < np.where(MOVED & (TREATED > 0), 0.4, 0.1)).astype(float)


def test_a_qini_curve_ends_at_the_effect_of_reaching_everybody() -> None:
    score = MOVED + 0.1 * RANDOM.random(PEOPLE)
    told = qini({"model": score, "frequency": RANDOM.random(PEOPLE)}, TREATED, ANSWER)
    effect = ANSWER[TREATED > 0].mean() - ANSWER[TREATED == 0].mean()
    ends = told.groupby("method").last()
    assert ends["gained"].to_numpy() == pytest.approx(1000 * effect)
    assert (ends["share"] == 1).all() and (told.groupby("method").first() == 0).all().all()
    model = told[told["method"] == "model"]
    third = np.interp(0.3, model["share"], model["gained"])
    # All who are moved lie in the first three tenths, so nearly the whole effect does.
    assert third == pytest.approx(1000 * effect, rel=0.1)
    chance = told[told["method"] == "frequency"]
    assert np.abs(chance["gained"] - 1000 * effect * chance["share"]).max() < 20


def test_a_budget_buys_the_best_first() -> None:
    scored = pd.DataFrame({"uplift": RANDOM.random(500) * 0.2, "value": 20.0, "cost": RANDOM.uniform(0.5, 1.5, 500)})
    profit = (scored["uplift"] * scored["value"] - scored["cost"]).to_numpy()
    told = budget(scored, profit + 1.0)
    assert told["marginal"].is_monotonic_decreasing and told["spent"].is_monotonic_increasing
    last = told.iloc[-1]
    assert last["expected"] == pytest.approx(profit.sum()) and last["realised"] == pytest.approx(profit.sum() + 500)
    assert (last["spent"], last["share"]) == (pytest.approx(scored["cost"].sum()), 1.0)
    # What is expected is greatest where the last contact still earns its cost.
    best = told.loc[told["expected"].idxmax()]
    assert abs(best["marginal"]) < 0.3


def test_off_policy_values_hold_the_law() -> None:
    reward = 10 * ANSWER - TREATED
    without, with_it = np.full(PEOPLE, 1.0), np.where(MOVED, 3.0, 0.0)
    methods = {"model": MOVED.astype(float), "everyone": np.ones(PEOPLE)}
    told = off_policy(reward, TREATED, np.full(PEOPLE, 0.5), with_it, without, np.arange(PEOPLE), methods, 0)
    law = {"model": 0.3 * 3.0 + 0.7 * 1.0, "everyone": 0.3 * 3.0, NOBODY: 1.0}
    for row in told.itertuples():
        assert row.low <= row.value <= row.high
        assert row.value == pytest.approx(law[row.method], abs=0.12), (row.method, row.estimator)
        if row.estimator in ("dr", "ips"):
            assert row.low - 0.03 <= law[row.method] <= row.high + 0.03
    assert set(told["method"]) == set(law) and set(told["estimator"]) == {"ips", "snips", "dm", "dr", "switch_dr"}
