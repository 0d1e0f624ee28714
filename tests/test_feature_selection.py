"""Feature selection on rows whose truth is known."""

import numpy as np
import pandas as pd
import pytest

from ecomine.errors import NotEnoughDataError
from ecomine.feature_selection import report, sample, select
from ecomine.stages import Context
from tests.conftest import change_params, walk

FEATURES = ["strong", "weak", "noise", "constant", "empty", "twin", "half"]


def rows(count: int = 6000, binary: bool = True) -> pd.DataFrame:
    random = np.random.default_rng(5)
    strong, weak, noise, own = random.normal(size=(4, count))
    half = np.where(random.random(count) < 0.5, np.nan, strong)
    score = 2 * strong + 0.7 * weak + own
    label = (random.random(count) < 1 / (1 + np.exp(-score))).astype(float) if binary else score
    return pd.DataFrame(
        {
            "user_id": [f"u{number % 300}" for number in range(count)],
            "own": own,
            "label": label,
            "strong": strong,
            "weak": weak,
            "noise": noise,
            "constant": 3.0,
            "empty": np.nan,
            "twin": strong * 5 + 1,
            "half": half,
        }
    )


@pytest.mark.parametrize("binary", [True, False])
def test_what_makes_the_label_is_kept_and_what_does_not_is_dropped(binary: bool) -> None:
    found = {verdict.feature: verdict for verdict in select(rows(binary=binary), "label", "user_id", FEATURES)}
    assert set(found) == set(FEATURES)
    assert found["strong"].kept and found["weak"].kept
    assert found["strong"].adds > found["weak"].adds > 10 * abs(found["noise"].adds)
    assert found["strong"].stability == 1.0
    assert found["twin"].why == "says the same as strong"
    assert found["constant"].why == found["empty"].why == "has the same value in every row"
    assert not any(found[name].kept for name in ("twin", "constant", "empty"))


def test_a_column_of_the_domains_own_is_learned_from_and_not_judged() -> None:
    verdicts = select(rows(), "label", "user_id", ["noise"])
    assert [verdict.feature for verdict in verdicts] == ["noise"]
    assert abs(verdicts[0].adds) < 0.01


def test_the_same_rows_in_another_order_of_groups_give_the_same_sample() -> None:
    frame = rows()
    chosen = sample(frame, "user_id", 1, rows=2000)
    assert 1000 < len(chosen) < 3000
    groups = set(chosen.user_id)
    assert len(chosen) == frame.user_id.isin(groups).sum()
    assert set(sample(frame.iloc[::-1], "user_id", 1, rows=2000).user_id) == groups
    assert set(sample(frame, "user_id", 2, rows=2000).user_id) != groups


def test_the_same_rows_give_the_same_report_and_are_not_changed() -> None:
    frame = rows(2000)
    before = frame.copy()
    assert report(select(frame, "label", "user_id", FEATURES)) == report(select(frame, "label", "user_id", FEATURES))
    pd.testing.assert_frame_equal(frame, before)


def test_best_come_first_and_the_dropped_last() -> None:
    verdicts = select(rows(), "label", "user_id", FEATURES)
    assert verdicts[0].feature == "strong"
    kept = [verdict.kept for verdict in verdicts]
    assert kept == sorted(kept, reverse=True)
    told = report(verdicts)
    assert (told["kept"], told["dropped"]) == (sum(kept), len(kept) - sum(kept))
    assert all(row["kept"] or row["why"] for row in told["features"].values())


def test_too_few_groups_or_labels() -> None:
    frame = rows(600)
    for poor in (frame.assign(user_id="u"), frame.assign(label=0.0)):
        with pytest.raises(NotEnoughDataError, match="feature selection needs 3 groups and two kinds of label"):
            select(poor, "label", "user_id", FEATURES)


def test_what_adds_nothing_stays_out_of_the_model_where_the_settings_say_so(walked, tmp_path) -> None:
    import shutil

    from ecomine.recommendation import Recommender

    workspace = shutil.copytree(walked, tmp_path / "workspace")
    told = Context.of(workspace).store.read_json("metrics/recommendation.features.json")["features"]
    dropped = {name for name, verdict in told.items() if not verdict["kept"]}
    assert dropped
    assert set(Recommender.load(workspace / "models/recommendation").features) == set(told)
    change_params(workspace, features={"selection": "drop"})
    walk(workspace, "train")
    assert set(Recommender.load(workspace / "models/recommendation").features) == set(told) - dropped
    walk(workspace, "evaluate", "decide", "gate")
