from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecomine.errors import FeatureError, NotEnoughDataError
from ecomine.metrics import calibration
from ecomine.profiling import ChurnModel, PurchaseIntent
from ecomine.profiling.classifier import TabularClassifier
from ecomine.profiling.trees import TreeSettings

FEW = TreeSettings(depth=3, rounds=60, seeds=2)


def people(count: int = 2_000, seed: int = 1) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Columns of each kind, the true probability and a label drawn from it."""
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "tenure": random.integers(0, 72, count),
            "charge": random.gamma(4, 15, count),
            "contract": random.choice(["month", "year", None], count, p=[0.6, 0.3, 0.1]),
            "region": random.integers(1, 9, count),
        }
    )
    frame.loc[random.random(count) < 0.1, "charge"] = np.nan
    odds = 1 - 0.05 * frame.tenure + 1.5 * (frame.contract == "month") + 0.3 * (frame.region == 3)
    chance = (1 / (1 + np.exp(-odds))).to_numpy()
    return frame, chance, (random.random(count) < chance).astype(float)


MODELS = {
    "churn": lambda: ChurnModel(FEW, monotone={"tenure": -1}, threads=1),
    "intent": lambda: PurchaseIntent({"tenure": "charge"}, ["charge", "tenure"], FEW, as_levels=["region"], threads=1),
}


@pytest.fixture(scope="module", params=MODELS, ids=MODELS)
def model(request: pytest.FixtureRequest) -> TabularClassifier:
    frame, _, label = people()
    return MODELS[request.param]().fit(frame, label)


def test_probabilities_can_be_believed(model: TabularClassifier) -> None:
    frame, chance, label = people(seed=2)
    told = model.predict(frame)
    assert np.corrcoef(told, chance)[0, 1] > 0.9
    groups = calibration(told, label, 5)
    assert (groups["score"] - groups["label"]).abs().max() < 0.1
    assert np.corrcoef(model.predict_plainly(frame), chance)[0, 1] > 0.8


def test_a_loaded_model_tells_the_same_and_a_row_alone_too(model: TabularClassifier, tmp_path: Path) -> None:
    frame, _, _ = people(seed=3)
    model.save(tmp_path)
    loaded = type(model).load(tmp_path)
    told = model.predict(frame)
    np.testing.assert_array_equal(loaded.predict(frame), told)
    np.testing.assert_array_equal(model.predict(frame.iloc[[5]]), told[[5]])


def test_the_strongest_driver_is_the_true_one(model: TabularClassifier) -> None:
    frame, _, _ = people(seed=4)
    parts = model.contributions(frame)
    assert {"tenure", "contract"} <= set(parts.columns)
    assert parts.abs().mean().nlargest(3).index.intersection(["tenure", "contract"]).size
    young, old = parts["tenure"][frame.tenure < 5].mean(), parts["tenure"][frame.tenure > 60].mean()
    assert young > old


def test_a_monotone_column_moves_the_trees_one_way() -> None:
    frame, _, label = people()
    model = ChurnModel(FEW, share=1.0, monotone={"tenure": -1}, threads=1).fit(frame, label)
    row = frame.iloc[[0]].loc[np.zeros(72, int)].assign(tenure=np.arange(72))
    assert (np.diff(model.predict(row)) <= 1e-12).all()


def test_errors_say_what_came(model: TabularClassifier) -> None:
    frame, _, label = people(50)
    with pytest.raises(FeatureError, match="lack contract"):
        TabularClassifier(FEW, threads=1).fit(frame, label).predict(frame.drop(columns="contract"))
    with pytest.raises(FeatureError, match="tenure was learned as numbers"):
        model.columns.matrix(frame.assign(tenure="much", **dict.fromkeys(model.columns.numbers[1:], 1.0)))
    with pytest.raises(NotEnoughDataError, match="expected both 0 and 1"):
        ChurnModel(FEW).fit(frame, np.ones(50))
