"""A gate opens for a candidate that is truly better, stays shut for one that is not, and says why."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecomine import gates
from ecomine.errors import FeatureError, NotEnoughDataError
from ecomine.params import GateParams
from tests.conftest import change_params, walk

PARAMS = GateParams()


def values(gain: float, noise: float = 2.0, units: int = 500) -> pd.DataFrame:
    random = np.random.default_rng(2)
    base = random.exponential(10.0, units)
    return pd.DataFrame(
        {
            "user_id": [f"u{n}" for n in range(units)],
            "model": base + gain + random.normal(0, noise, units),
            "weak": base * 0.5,
            "strong": base,
        }
    )


def verdicts(frame: pd.DataFrame, params: GateParams = PARAMS) -> dict[str, bool]:
    return {check.name: check.passed for check in gates.value_checks(frame, params, seed=1)}


def test_a_better_candidate_passes_and_the_best_baseline_is_named() -> None:
    checks = gates.value_checks(values(gain=1.0), PARAMS, seed=1)
    assert all(check.passed for check in checks)
    assert "over strong" in checks[1].why and "95% interval" in checks[1].why


def test_a_gain_within_the_noise_does_not_pass() -> None:
    assert not verdicts(values(gain=0.01))["better_than_baseline"]


def test_pairing_sees_a_small_gain_that_the_spread_between_units_would_hide() -> None:
    frame = values(gain=0.3, noise=0.5)
    assert frame["model"].std() / np.sqrt(len(frame)) > 0.3
    assert verdicts(frame)["better_than_baseline"]


def test_the_least_gain_is_money() -> None:
    assert not verdicts(values(gain=1.0), GateParams(min_gain=1.5))["better_than_baseline"]


def test_worthless_decisions_fail_both() -> None:
    frame = values(gain=1.0).assign(model=0.0)
    assert verdicts(frame) == {"worth_more_than_nothing": False, "better_than_baseline": False}


def test_values_that_cannot_be_compared_are_clear_errors() -> None:
    with pytest.raises(FeatureError, match="weak, strong; expected `model`"):
        gates.value_checks(values(1.0).drop(columns="model"), PARAMS, 1)
    with pytest.raises(FeatureError, match="at least one baseline"):
        gates.value_checks(values(1.0)[["user_id", "model"]], PARAMS, 1)
    with pytest.raises(NotEnoughDataError):
        gates.value_checks(values(1.0).iloc[:0], PARAMS, 1)


@pytest.mark.parametrize(("factor", "passed"), [(1.05, True), (1.0, True), (0.99, True), (0.9, False)])
def test_a_challenger_may_lose_a_little(factor: float, passed: bool) -> None:
    champion = np.random.default_rng(4).exponential(10.0, 300)
    check = gates.champion_check(pd.DataFrame({"challenger": champion * factor, "champion": champion}), PARAMS, 1)
    assert check.passed is passed
    assert check.value == pytest.approx((factor - 1) * champion.mean())
    assert check.limit == pytest.approx(-0.02 * champion.mean())


def test_champion_values_that_cannot_be_compared_are_clear_errors() -> None:
    with pytest.raises(FeatureError, match="champion"):
        gates.champion_check(pd.DataFrame({"challenger": [1.0]}), PARAMS, 1)
    with pytest.raises(NotEnoughDataError):
        gates.champion_check(pd.DataFrame({"challenger": [], "champion": []}), PARAMS, 1)


def test_a_sample_holds_all_rows_of_the_drawn_entities() -> None:
    requests = pd.DataFrame({"user_id": np.repeat([f"u{n}" for n in range(50)], 3), "row": range(150)})
    drawn = gates.sample(requests, "user_id", 10, seed=1)
    assert drawn["user_id"].nunique() == 10 and len(drawn) == 30
    assert drawn["row"].is_monotonic_increasing
    pd.testing.assert_frame_equal(drawn, gates.sample(requests, "user_id", 10, seed=1))
    assert not drawn["user_id"].equals(gates.sample(requests, "user_id", 10, seed=2)["user_id"])
    assert len(gates.sample(requests, "user_id", 500, seed=1)) == 150


def test_differences_between_online_and_offline_fail_and_are_shown() -> None:
    assert gates.equality_check(200, []).passed
    assert not gates.equality_check(0, []).passed
    failed = gates.equality_check(200, ["u1 spend_7d: online 3.0, offline 4.0"])
    assert not failed.passed and "u1 spend_7d" in failed.why


def test_size_counts_the_files_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/model.bin").write_bytes(b"x" * 1_500_000)
    assert gates.size_check(tmp_path, PARAMS).value == pytest.approx(1.5)
    assert not gates.size_check(tmp_path, GateParams(max_bundle_mb=1.0)).passed
    assert not gates.size_check(tmp_path / "absent", PARAMS).passed


def test_the_report_is_plain_json_and_an_empty_gate_is_shut() -> None:
    checks = gates.value_checks(values(1.0), PARAMS, 1)
    report = gates.report(checks)
    assert json.loads(json.dumps(report)) == report and report["passed"]
    assert [set(check) for check in report["checks"]] == [{"name", "value", "limit", "passed", "why"}] * 2
    assert not gates.report([*checks, gates.equality_check(1, ["x"])])["passed"]
    assert not gates.report([])["passed"]


def test_a_limit_of_params_yaml_shuts_the_gate(deployed_workspace: Path) -> None:
    change_params(deployed_workspace, profiling={"limits": {"most_total": 0.001, "least_total": 0.0}})
    walk(deployed_workspace, "gate")
    report = json.loads((deployed_workspace / "metrics/profiling.gate.json").read_text())
    assert [check["name"] for check in report["checks"] if not check["passed"]] == ["total_value"]
