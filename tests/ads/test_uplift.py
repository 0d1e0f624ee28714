"""Uplift learners find planted effects, and claim nothing where there was no experiment."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecomine.ads import randomisation
from ecomine.ads.bases import LINEAR, XGBOOST
from ecomine.ads.learners import LEARNERS
from ecomine.ads.uplift import BLEND, UpliftModel, UpliftSettings, choose
from ecomine.errors import FeatureError, NotEnoughDataError, SettingsError

PAIRS = [(learner, base) for base in (LINEAR, XGBOOST) for learner in LEARNERS]


def people(rows: int, seed: int) -> tuple[pd.DataFrame, np.ndarray, np.random.Generator]:
    """Columns, and the true uplift: great for who is eager and lives in town, none for others."""
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "eager": random.normal(size=rows),
            "spent": np.exp(random.normal(3, 1, rows)),
            "town": random.choice(["town", "village"], rows),
        }
    )
    frame.loc[random.random(rows) < 0.05, "spent"] = np.nan
    effect = 0.15 * (1 + np.tanh(frame["eager"])) * np.where(frame["town"] == "town", 1.0, 0.4)
    return frame, effect.to_numpy(), random


def experiment(rows: int, seed: int, propensity: np.ndarray | float = 0.5) -> tuple:
    frame, effect, random = people(rows, seed)
    treated = (random.random(rows) < propensity).astype(float)
    base = 0.1 + 0.2 / (1 + np.exp(-frame["spent"].fillna(20).to_numpy() / 20))
    outcome = (random.random(rows) < base + effect * treated).astype(float)
    return frame, treated, outcome, effect


@pytest.mark.parametrize(("learner", "base"), PAIRS)
def test_the_planted_effect_is_found(learner: str, base: str) -> None:
    frame, treated, outcome, _ = experiment(8000, 1)
    settings = UpliftSettings(learner, base, effect_scale=1.0, depth=2, rounds=60, leaf=100)
    model = UpliftModel(settings).fit(frame, treated, outcome)
    later, _, _, effect = experiment(4000, 2)
    told = model.predict(later)
    assert np.corrcoef(told, effect)[0, 1] > 0.75
    assert told.mean() == pytest.approx(effect.mean(), abs=0.03 if (learner, base) != ("s", XGBOOST) else 0.06)


@pytest.mark.parametrize("learner", ["t", "x", "dr", "class"])
def test_unequal_propensities_do_not_mislead(learner: str) -> None:
    frame, _, _ = people(20_000, 3)
    propensity = np.where(frame["town"] == "town", 0.8, 0.3)
    frame, treated, outcome, effect = experiment(20_000, 3, propensity)
    told = UpliftModel(UpliftSettings(learner)).fit(frame, treated, outcome, propensity).predict(frame)
    town = (frame["town"] == "town").to_numpy()
    assert told[town].mean() == pytest.approx(effect[town].mean(), abs=0.03)
    assert told[~town].mean() == pytest.approx(effect[~town].mean(), abs=0.03)


def test_profit_can_be_the_outcome() -> None:
    frame, treated, visit, effect = experiment(10_000, 4)
    profit = 20 * visit - 2 * treated
    told = UpliftModel(UpliftSettings("dr")).fit(frame, treated, profit).predict(frame)
    assert np.corrcoef(told, effect)[0, 1] > 0.75
    assert told.mean() == pytest.approx(20 * effect.mean() - 2, abs=0.5)
    with pytest.raises(FeatureError, match="0 and 1"):
        UpliftModel(UpliftSettings("class")).fit(frame, treated, profit)


def test_chosen_treatment_makes_no_claim() -> None:
    frame, _, outcome, _ = experiment(4000, 5)
    picked = (frame["eager"] + np.random.default_rng(1).normal(0, 3, 4000) > 0).to_numpy(float)
    with pytest.raises(NotEnoughDataError, match=r"not drawn by chance.*eager"):
        UpliftModel().fit(frame, picked, outcome)
    # Treated are those of middling eagerness, so that means and variances would not show it all.
    middling = (frame["eager"].abs() < 0.6).to_numpy() & (frame["town"] == "town").to_numpy()
    drawn = np.random.default_rng(2).random(4000) < np.where(middling, 0.7, 0.45)
    with pytest.raises(NotEnoughDataError, match="experiment"):
        UpliftModel().fit(frame, drawn.astype(float), outcome)


def test_known_propensities_explain_a_stratified_experiment() -> None:
    frame, _, _ = people(8000, 6)
    propensity = np.where(frame["eager"] > 0, 0.6, 0.2)
    frame, treated, _, _ = experiment(8000, 6, propensity)
    assert not randomisation.evidence(frame, treated).claim
    assert randomisation.evidence(frame, treated, propensity).claim


def test_missing_overlap_makes_no_claim() -> None:
    frame, _, _ = people(6000, 7)
    propensity = np.where(frame["eager"] > 1, 1.0, 0.5)
    frame, treated, outcome, _ = experiment(6000, 7, propensity)
    with pytest.raises(NotEnoughDataError, match=r"overlap is missing: 1[56].*leave them out"):
        UpliftModel().fit(frame, treated, outcome, propensity)
    with pytest.raises(NotEnoughDataError, match="smaller arm has 0"):
        UpliftModel().fit(frame, np.ones(6000), outcome)


def test_true_experiments_are_seldom_refused() -> None:
    p_values = []
    for seed in range(12):
        frame, treated, _, _ = experiment(1500, 100 + seed)
        p_values.append(randomisation.evidence(frame, treated).p_value)
    assert np.mean(np.array(p_values) < 0.1) < 0.4
    assert min(p_values) > 1e-3


def test_people_held_back_as_a_whole_are_one_unit() -> None:
    frame, _, random = people(300, 12)
    person = np.repeat(np.arange(300), 20)
    held_back = random.random(300) < 0.5
    treated = np.where(held_back[person], 0.0, 1.0)
    contacts = frame.iloc[person].reset_index(drop=True)
    assert not randomisation.evidence(contacts, treated).claim
    assert randomisation.evidence(contacts, treated, unit=person).claim


def test_saved_and_loaded_it_says_the_same(tmp_path: Path) -> None:
    frame, treated, outcome, _ = experiment(3000, 8)
    members = [*BLEND, UpliftSettings("dr"), UpliftSettings("x", XGBOOST)]
    model = UpliftModel(members).fit(frame, treated, outcome)
    model.save(tmp_path)
    again = UpliftModel.load(tmp_path)
    assert (again.predict(frame) == model.predict(frame)).all()
    assert again.evidence == model.evidence
    # One row and many are told alike.
    assert again.predict(frame.iloc[[7]])[0] == model.predict(frame)[7]
    other = tmp_path / "other"
    other.mkdir()
    UpliftModel(members).fit(frame, treated, outcome).save(other)
    for file in other.iterdir():
        assert file.read_bytes() == (tmp_path / file.name).read_bytes()


def test_validation_prefers_what_ranks_better() -> None:
    frame, treated, outcome, _ = experiment(3000, 9)
    blind, seeing = UpliftSettings("s", effect_scale=1e-6), UpliftSettings("s", effect_scale=1.0)
    best, found = choose([blind, seeing], frame, treated, outcome, repeats=1)
    assert best == seeing and found[1] > found[0]


def test_unsound_inputs_are_refused() -> None:
    frame, treated, outcome, _ = experiment(400, 10)
    with pytest.raises(FeatureError, match="one each"):
        UpliftModel().fit(frame, treated[:-1], outcome)
    with pytest.raises(FeatureError, match="outcome is missing"):
        UpliftModel().fit(frame, treated, np.where(outcome == 1, np.nan, outcome))
    with pytest.raises(FeatureError, match="lack town"):
        UpliftModel().fit(frame, treated, outcome).predict(frame.drop(columns="town"))
    with pytest.raises(SettingsError, match="learner"):
        UpliftSettings("r")
