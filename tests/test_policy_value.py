"""Off-policy evaluation against policies whose value is known."""

import numpy as np
import pytest

from ecomine.errors import FeatureError, NotEnoughDataError
from ecomine.policy_value import ESTIMATORS, Log, estimate, least_risk, table

ACTIONS = 5


def logged(decisions: int, seed: int, sharpness: float = 1.0, model_error: float = 0.0) -> tuple[Log, float]:
    """A log of a softmax policy over five actions in two contexts, and the true value of a greedy-ish other policy."""
    random = np.random.default_rng(seed)
    chance = np.array([[0.1, 0.2, 0.3, 0.4, 0.5], [0.5, 0.4, 0.3, 0.2, 0.1]])
    context = random.integers(0, 2, decisions)
    logging = np.exp(-sharpness * chance)
    logging /= logging.sum(axis=1, keepdims=True)
    target = np.full((2, ACTIONS), 0.02)
    target[[0, 1], [4, 0]] += 0.9
    action = (random.random(decisions)[:, None] > np.cumsum(logging[context], axis=1)).sum(axis=1)
    reward = (random.random(decisions) < chance[context, action]).astype(float)
    model = chance + model_error
    return (
        Log(
            reward,
            logging[context, action],
            target[context, action],
            model[context, action],
            (target * model).sum(axis=1)[context],
        ),
        float((target * chance).sum(axis=1).mean()),
    )


@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_estimator_finds_the_value_of_the_other_policy(name: str) -> None:
    log, true = logged(40_000, seed=3)
    found = estimate(log, name)
    assert found.value == pytest.approx(true, abs=0.01)
    assert found.low <= found.value <= found.high


@pytest.mark.parametrize("name", ["ips", "snips", "dr"])
def test_intervals_cover_the_truth_about_as_often_as_they_say(name: str) -> None:
    covered = 0
    for seed in range(60):
        log, true = logged(1500, seed)
        found = estimate(log, name, samples=300)
        covered += found.low <= true <= found.high
    assert covered >= 51


def test_a_wrong_model_biases_the_direct_method_but_not_the_doubly_robust() -> None:
    log, true = logged(40_000, seed=5, model_error=0.2)
    assert estimate(log, "dm").value == pytest.approx(true + 0.2, abs=0.01)
    assert estimate(log, "dr").value == pytest.approx(true, abs=0.015)


def test_a_good_model_narrows_the_interval() -> None:
    log, _ = logged(5000, seed=8)
    plain, robust = estimate(log, "ips"), estimate(log, "dr")
    assert robust.high - robust.low < 0.8 * (plain.high - plain.low)


def test_switch_dr_leaves_huge_weights_to_the_model() -> None:
    log, true = logged(4000, seed=11, sharpness=14.0)
    assert log.weight.max() > 50
    spread = {
        name: np.std(
            [estimate(logged(4000, seed, sharpness=14.0)[0], name, least_effective=0).value for seed in range(30)]
        )
        for name in ("ips", "switch_dr")
    }
    assert spread["switch_dr"] < 0.5 * spread["ips"]
    assert estimate(log, "switch_dr", least_effective=0).value == pytest.approx(true, abs=0.03)


def test_a_log_that_never_followed_the_policy_makes_no_claim() -> None:
    random = np.random.default_rng(0)
    propensity = np.where(random.random(5000) < 0.001, 0.001, 0.999)
    target = np.where(propensity < 0.5, 1.0, 0.0)
    found = estimate(Log(random.random(5000), propensity, target))
    assert np.isnan(found.value) and found.effective < 100 and "at least 100" in found.why


def test_decisions_of_one_unit_count_together() -> None:
    log, _ = logged(2000, seed=13)
    copied = Log(*(np.repeat(values, 10) for values in (log.reward, log.propensity, log.target)))
    together = Log(copied.reward, copied.propensity, copied.target, unit=np.repeat(np.arange(2000), 10))
    narrow, honest, single = estimate(copied), estimate(together), estimate(log)
    assert honest.high - honest.low == pytest.approx(single.high - single.low, rel=0.15)
    assert narrow.high - narrow.low < 0.5 * (honest.high - honest.low)


def test_the_table_leaves_out_what_needs_a_model() -> None:
    log, _ = logged(1000, seed=1)
    assert table(log)["estimator"].tolist() == list(ESTIMATORS)
    assert table(Log(log.reward, log.propensity, log.target))["estimator"].tolist() == ["ips", "snips"]


def test_unsound_logs_are_refused() -> None:
    one = np.ones(3)
    with pytest.raises(FeatureError, match="propensity"):
        Log(one, np.array([0.5, 0.0, 1.0]), one)
    with pytest.raises(FeatureError, match="same number"):
        Log(one, one, np.ones(2))
    with pytest.raises(NotEnoughDataError, match="no decision"):
        Log(np.zeros(0), np.zeros(0), np.zeros(0))
    with pytest.raises(FeatureError, match="model of rewards"):
        estimate(Log(one, one, one), "dr", least_effective=0)
    with pytest.raises(FeatureError, match="no estimator"):
        estimate(Log(one, one, one), "guess")


def test_the_least_risk_is_with_the_model_where_it_is_right_and_not_where_it_is_wrong() -> None:
    right, _ = logged(3000, seed=11)
    wrong, true = logged(40_000, seed=12, model_error=0.3)
    assert least_risk(right) in ("dm", "switch_dr", "dr")
    assert least_risk(wrong) not in ("dm",)
    assert estimate(wrong, least_risk(wrong)).value == pytest.approx(true, abs=0.02)
    bare = Log(wrong.reward, wrong.propensity, wrong.target)
    assert least_risk(bare) in ("ips", "snips")


def test_picking_by_risk_is_no_worse_than_what_is_sure_on_average() -> None:
    errors = []
    for seed in range(40):
        log, true = logged(400, seed, sharpness=4.0, model_error=0.05)
        errors.append([abs(float(ESTIMATORS[name](log).mean()) - true) for name in (least_risk(log), "ips", "dr")])
    picked, plain, robust = np.mean(errors, axis=0)
    assert picked < plain
    assert picked < 1.1 * robust
