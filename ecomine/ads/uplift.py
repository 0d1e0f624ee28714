"""UpliftModel: what reaching a person changes, learnt from an experiment and from nothing else."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from ecomine.ads import randomisation, uplift_metrics
from ecomine.ads.bases import LINEAR, XGBOOST, Base, Boosted, Lines
from ecomine.ads.encoding import Design
from ecomine.ads.learners import LEARNERS, Experiment, Seen
from ecomine.errors import FeatureError, NotEnoughDataError, SettingsError
from ecomine.store import write_json

FOLDS = 5


@dataclass(frozen=True)
class UpliftSettings:
    """How uplift is learnt.

    learner: one of LEARNERS; base: linear or xgboost; penalty: of a line's squared coefficients; effect_scale: of the
    treatment's columns in a linear S-learner, small for strong shrinkage; depth, rounds, learning_rate, leaf (rows):
    of trees.
    """

    learner: str = "s"
    base: str = LINEAR
    penalty: float = 1.0
    effect_scale: float = 0.1
    depth: int = 1
    rounds: int = 50
    learning_rate: float = 0.1
    leaf: float = 300.0

    def __post_init__(self) -> None:
        for name, known in (("learner", tuple(LEARNERS)), ("base", (LINEAR, XGBOOST))):
            if getattr(self, name) not in known:
                raise SettingsError(f"`{name}` is {getattr(self, name)!r}; expected one of {', '.join(known)}.")


BLEND = (UpliftSettings("s"), UpliftSettings("t", XGBOOST), UpliftSettings("class"))
"""Unlike learners whose mean ranks people better than each alone, where effects are small against the noise."""

Settings = UpliftSettings | Sequence[UpliftSettings]


class UpliftModel:
    """Tells by how much being reached raises the expected outcome of a person: a visit, a purchase, or profit.

    `fit` takes a frame of what was known of people before, who was treated, what came of it, and the propensities
    where they differ; it raises NotEnoughDataError, with the evidence in words, where treatment was not drawn by chance
    or overlap is missing. `predict` gives uplift in units of the outcome; with several settings, their models' mean.
    """

    def __init__(self, settings: Settings = BLEND, seed: int = 42) -> None:
        self.members = (settings,) if isinstance(settings, UpliftSettings) else tuple(settings)
        self.seed = seed
        if not self.members:
            raise SettingsError("No settings of an uplift learner were given; expected at least one.")

    def fit(
        self,
        frame: pd.DataFrame,
        treated: pd.Series | np.ndarray,
        outcome: pd.Series | np.ndarray,
        propensity: pd.Series | np.ndarray | float | None = None,
        unit: pd.Series | np.ndarray | None = None,
    ) -> "UpliftModel":
        """Learns; `unit` says whose the rows are, where several were treated or held back together."""
        treated, outcome = np.asarray(treated, float), np.asarray(outcome, float)
        if not len(frame) == len(treated) == len(outcome):
            raise FeatureError(
                f"{len(frame):,} people, {len(treated):,} treatments, {len(outcome):,} outcomes; expected one each."
            )
        if not np.isfinite(outcome).all():
            raise FeatureError("An outcome is missing; leave out people whose outcome is not known yet.")
        chance = None if propensity is None else np.asarray(propensity, float)
        self.evidence = randomisation.evidence(frame, treated, chance, unit)
        if not self.evidence.claim:
            raise NotEnoughDataError(f"No uplift can be claimed: {self.evidence.why}.")
        return self._fit(frame, treated, outcome, randomisation.propensities(treated, chance))

    def learn(
        self,
        frame: pd.DataFrame,
        treated: np.ndarray,
        outcome: np.ndarray,
        evidence: randomisation.Evidence,
        propensity: np.ndarray | None = None,
    ) -> "UpliftModel":
        """As `fit`, on rows whose evidence was found before, on these rows and others together."""
        if not evidence.claim:
            raise NotEnoughDataError(f"No uplift can be claimed: {evidence.why}.")
        self.evidence = evidence
        return self._fit(frame, treated, outcome, randomisation.propensities(treated, propensity))

    def _fit(self, frame: pd.DataFrame, treated: np.ndarray, outcome: np.ndarray, chance: np.ndarray) -> "UpliftModel":
        self.design = Design().fit(frame)
        limit = randomisation.LEAST_PROPENSITY
        chance = np.clip(chance, limit, 1 - limit)
        part = deal(treated, outcome, FOLDS, self.seed)
        values = self.design.raw(frame)
        self.binary = bool(np.isin(outcome, (0.0, 1.0)).all())
        self.models = []
        for one in self.members:
            rows = Experiment(self._seen(values, one), treated, outcome, chance, part)
            self.models.append(LEARNERS[one.learner].fit(rows, partial(self._make, one)))
        return self

    def predict(self, frame: pd.DataFrame) -> np.ndarray:
        """Uplift, a number a row; raises FeatureError where a column is missing."""
        values = self.design.raw(frame)
        told = [
            LEARNERS[one.learner].effect(models, self._seen(values, one))
            for one, models in zip(self.members, self.models, strict=True)
        ]
        return np.asarray(np.mean(told, axis=0), float)

    def _seen(self, values: np.ndarray, one: UpliftSettings) -> Seen:
        if one.base == XGBOOST:
            return Seen(values, values, None)
        return Seen(self.design.broken(values), self.design.straight(values), one.effect_scale)

    def _make(self, one: UpliftSettings, probability: bool) -> Base:
        if one.base == XGBOOST:
            return Boosted(probability, one.depth, one.rounds, one.learning_rate, one.leaf, self.seed)
        # The penalty of a ridge stands against a mean, that of a logistic regression against a sum.
        return Lines(probability, one.penalty if probability else 0.1 * one.penalty)

    def save(self, folder: Path) -> None:
        """JSON and XGBoost's UBJ."""
        for number, models in enumerate(self.models):
            for name, model in models.items():
                model.save(folder, f"uplift-{number}-{name}")
        state = {
            "members": [dataclasses.asdict(one) for one in self.members],
            "seed": self.seed,
            "design": self.design.state(),
            "evidence": dataclasses.asdict(self.evidence),
            "binary": self.binary,
            "models": [sorted(models) for models in self.models],
        }
        write_json(folder / "uplift.json", state)

    @classmethod
    def load(cls, folder: Path) -> "UpliftModel":
        """The inverse of `save`."""
        state = json.loads((folder / "uplift.json").read_text())
        model = cls([UpliftSettings(**one) for one in state["members"]], state["seed"])
        model.design, model.binary = Design.restore(state["design"]), state["binary"]
        model.evidence = randomisation.Evidence(**state["evidence"])
        model.models = []
        for number, (one, names) in enumerate(zip(model.members, state["models"], strict=True)):
            learner, models = LEARNERS[one.learner], {}
            for name in names:
                probability = name in learner.probabilities or (model.binary and name not in learner.amounts)
                models[name] = model._make(one, probability).load(folder, f"uplift-{number}-{name}")
            model.models.append(models)
        return model


def deal(treated: np.ndarray, outcome: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Fold of each row, 0 to `folds` - 1: the same shares of arms, and of outcomes of 0 and 1, in each."""
    order = np.random.default_rng(seed).permutation(len(treated))
    stratum = 2 * treated[order] + (outcome[order] != 0)
    part = np.empty(len(treated), np.int64)
    part[order[np.argsort(stratum, kind="stable")]] = np.arange(len(treated)) % folds
    return part


def apart(
    settings: Settings,
    frame: pd.DataFrame,
    treated: np.ndarray,
    outcome: np.ndarray,
    chance: np.ndarray,
    folds: int = FOLDS,
    seed: int = 0,
) -> np.ndarray:
    """Uplift of each person by a model that did not learn from that person."""
    part, told = deal(treated, outcome, folds, seed), np.empty(len(treated))
    for number in range(folds):
        here = part == number
        model = UpliftModel(settings, seed)._fit(frame[~here], treated[~here], outcome[~here], chance[~here])
        told[here] = model.predict(frame[here])
    return told


def choose(
    candidates: Sequence[Settings],
    frame: pd.DataFrame,
    treated: np.ndarray,
    outcome: np.ndarray,
    propensity: np.ndarray | float | None = None,
    repeats: int = 3,
    seed: int = 0,
) -> tuple[Settings, np.ndarray]:
    """The settings with the best ranking of people whom their models did not see, and every candidate's average.

    Qini for outcomes of 0 and 1, AUUC otherwise, over `repeats` deals into five folds; the first of equals wins.
    """
    treated, outcome = np.asarray(treated, float), np.asarray(outcome, float)
    chance = randomisation.propensities(treated, propensity)
    measure = uplift_metrics.qini if np.isin(outcome, (0, 1)).all() else uplift_metrics.auuc
    found = np.array(
        [
            np.mean(
                [
                    measure(apart(one, frame, treated, outcome, chance, FOLDS, seed + number), treated, outcome)
                    for number in range(repeats)
                ]
            )
            for one in candidates
        ]
    )
    return candidates[int(found.argmax())], found
