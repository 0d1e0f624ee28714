from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecomine.errors import DamagedError, FeatureError, NotEnoughDataError
from ecomine.risk import AnomalyDetector
from ecomine.risk.isolation import IsolationTrees

ROWS = 4_000


def _baskets(seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Quiet and lavish households; items and money go together."""
    random = np.random.default_rng(seed)
    household = random.integers(0, 40, ROWS)
    usual = np.where(household < 20, 20.0, 200.0)
    items = random.lognormal(0, 0.3, ROWS) * usual / 10
    frame = pd.DataFrame(
        {
            "amount": items * 10 * random.lognormal(0, 0.1, ROWS),
            "items": items,
            "hour": random.normal(14, 2, ROWS),
            "discount": random.beta(2, 20, ROWS),
        }
    )
    return frame, household


@pytest.fixture(scope="module")
def detector() -> AnomalyDetector:
    return AnomalyDetector(trees=60, threads=1).fit(*_baskets())


def test_injected_anomalies_are_among_the_strangest(detector: AnomalyDetector) -> None:
    frame, household = _baskets(1)
    frame.loc[0, "amount"] = 20_000.0
    frame.loc[1, "hour"] = 3.0
    frame.loc[2, "discount"] = 0.95
    quiet = int(np.flatnonzero(household < 20)[5])
    frame.loc[quiet, ["amount", "items"]] = [200.0, 20.0]  # usual for others, not for this household
    score = detector.score(frame, household)
    flags = detector.strangest(score, frame.index, 0.01)
    assert flags.sum() == ROWS // 100
    assert flags[[0, 1, 2, quiet]].all()
    reasons = detector.reasons(frame, household)
    assert reasons.loc[0, "reason_1"] == "amount far above"
    assert reasons.loc[1, "reason_1"] == "hour far below"
    assert reasons.loc[2, "reason_1"] == "discount far above"


def test_the_score_tells_how_rare_a_row_is(detector: AnomalyDetector) -> None:
    frame, household = _baskets(2)
    share = (detector.score(frame, household) >= 2).mean()
    assert 0.005 < share < 0.03  # one in a hundred in either of two views


def test_nulls_are_usual_and_unknown_entities_are_judged_by_everybody(detector: AnomalyDetector) -> None:
    frame, _ = _baskets(3)
    few = frame.head(5).copy()
    few.iloc[0] = np.nan
    score = detector.score(few, np.array(["nobody"] * 5, object))
    assert np.isfinite(score).all() and score[0] < 1


def test_saved_and_loaded_it_answers_the_same(detector: AnomalyDetector, tmp_path: Path) -> None:
    frame, household = _baskets(4)
    detector.save(tmp_path)
    loaded = AnomalyDetector.load(tmp_path)
    np.testing.assert_array_equal(loaded.score(frame, household), detector.score(frame, household))
    pd.testing.assert_frame_equal(loaded.reasons(frame, household), detector.reasons(frame, household))


def test_the_forest_tells_what_scikit_learn_tells(tmp_path: Path) -> None:
    from sklearn.ensemble import IsolationForest

    values = _baskets(5)[0].head(700).to_numpy()
    own = IsolationTrees.grow(values, 20, 7, 1)
    theirs = IsolationForest(n_estimators=20, random_state=7).fit(values)
    np.testing.assert_allclose(own.isolation(values), -theirs.score_samples(values), rtol=1e-9)
    own.save(tmp_path / "good.npz")
    IsolationTrees.load(tmp_path / "good.npz", 4)
    with pytest.raises(DamagedError, match="cannot be walked"):
        IsolationTrees.load(tmp_path / "good.npz", 2)
    back = own.left.copy()
    back[0, 0] = 0
    replace(own, left=back).save(tmp_path / "bad.npz")
    with pytest.raises(DamagedError, match="cannot be walked"):
        IsolationTrees.load(tmp_path / "bad.npz", 4)


def test_what_cannot_be_used_is_told(detector: AnomalyDetector) -> None:
    frame, household = _baskets()
    with pytest.raises(NotEnoughDataError, match="50 are the least"):
        AnomalyDetector().fit(frame.head(10))
    with pytest.raises(FeatureError, match="lack hour"):
        detector.score(frame.drop(columns="hour"), household)
