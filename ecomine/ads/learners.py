"""Uplift learners: five ways to put regressions together so that they tell what a contact changes.

Each is a pair of functions: `fit` gives named regressions, `effect` reads uplift off them. What they see of people is a
`Seen`: the columns for regressions of the outcome (`level`) and for regressions of the effect (`effect`).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ecomine.ads.bases import Base, Make
from ecomine.errors import FeatureError

PROPENSITY = "propensity"


@dataclass(frozen=True)
class Seen:
    """Rows × columns of people: for the outcome, for the effect, and how strongly the latter is shrunk in an S-learner.

    `effect_scale` multiplies the columns that stand for treatment: in a penalised regression, small is shrunk more.
    None says that the regression finds what goes with treatment on its own (trees).
    """

    level: np.ndarray
    effect: np.ndarray
    effect_scale: float | None

    def __getitem__(self, rows: np.ndarray) -> "Seen":
        return Seen(self.level[rows], self.effect[rows], self.effect_scale)

    def with_treatment(self, treated: np.ndarray) -> np.ndarray:
        """Columns of an S-learner."""
        if self.effect_scale is None:
            return np.column_stack([self.level, treated])
        side = 2 * treated[:, None] - 1
        return np.hstack([self.level, side, self.effect_scale * side * self.effect])


@dataclass(frozen=True)
class Experiment:
    """Who was treated, with which probability, and what came of it; `part` deals rows to folds."""

    seen: Seen
    treated: np.ndarray
    outcome: np.ndarray
    propensity: np.ndarray
    part: np.ndarray

    @property
    def binary(self) -> bool:
        return bool(np.isin(self.outcome, (0.0, 1.0)).all())

    def arm(self, treated: bool) -> np.ndarray:
        return self.treated == float(treated)


Models = dict[str, Base]


def _arms(rows: Experiment, make: Make, kept: np.ndarray) -> Models:
    """A regression of the outcome by arm, on the rows kept."""
    chosen = {name: rows.arm(name == "with") & kept for name in ("with", "without")}
    return {name: make(rows.binary).fit(rows.seen.level[here], rows.outcome[here]) for name, here in chosen.items()}


def _t(rows: Experiment, make: Make) -> Models:
    return _arms(rows, make, np.ones(len(rows.treated), bool))


def _t_effect(models: Models, seen: Seen) -> np.ndarray:
    return models["with"].predict(seen.level) - models["without"].predict(seen.level)


def _s(rows: Experiment, make: Make) -> Models:
    return {"both": make(rows.binary).fit(rows.seen.with_treatment(rows.treated), rows.outcome)}


def _s_effect(models: Models, seen: Seen) -> np.ndarray:
    one = np.ones(len(seen.level))
    both = models["both"]
    return both.predict(seen.with_treatment(one)) - both.predict(seen.with_treatment(0 * one))


def _x(rows: Experiment, make: Make) -> Models:
    arms = _t(rows, make)
    models: Models = {}
    for name, other, sign in (("with", "without", 1.0), ("without", "with", -1.0)):
        here = rows.arm(name == "with")
        # Told by a regression that never saw this arm.
        imputed = sign * (rows.outcome[here] - arms[other].predict(rows.seen.level[here]))
        models[f"effect_{name}"] = make(False).fit(rows.seen.effect[here], imputed)
    models[PROPENSITY] = make(True).fit(rows.seen.effect, rows.treated)
    return models


def _x_effect(models: Models, seen: Seen) -> np.ndarray:
    share = models[PROPENSITY].predict(seen.effect)
    told = {name: models[f"effect_{name}"].predict(seen.effect) for name in ("with", "without")}
    return np.asarray(share * told["without"] + (1 - share) * told["with"])


def pseudo_outcome(rows: Experiment, make: Make) -> np.ndarray:
    """Each person's doubly robust effect: of expected value the uplift, whatever the regressions (cross-fitted).

    μ₁ − μ₀ + t(y − μ₁)/e − (1 − t)(y − μ₀)/(1 − e). Source: Kennedy, Towards optimal doubly robust estimation of
    heterogeneous causal effects (2023), eq. 3.
    """
    told = {name: np.empty(len(rows.treated)) for name in ("with", "without")}
    for number in np.unique(rows.part):
        here = rows.part == number
        for name, model in _arms(rows, make, ~here).items():
            told[name][here] = model.predict(rows.seen.level[here])
    treated, chance = rows.treated, rows.propensity
    correction = treated * (rows.outcome - told["with"]) / chance
    correction -= (1 - treated) * (rows.outcome - told["without"]) / (1 - chance)
    return np.asarray(told["with"] - told["without"] + correction)


def _dr(rows: Experiment, make: Make) -> Models:
    return {"effect": make(False).fit(rows.seen.effect, pseudo_outcome(rows, make))}


def _class(rows: Experiment, make: Make) -> Models:
    if not rows.binary:
        raise FeatureError("Class transformation needs outcomes of 0 and 1; for money take another learner.")
    agrees = (rows.outcome == rows.treated).astype(float)
    weight = np.where(rows.arm(True), 1 / rows.propensity, 1 / (1 - rows.propensity))
    return {"agrees": make(True).fit(rows.seen.effect, agrees, weight / weight.mean())}


@dataclass(frozen=True)
class Learner:
    """How a kind of uplift model is fitted and read."""

    fit: Callable[[Experiment, Make], Models]
    effect: Callable[[Models, Seen], np.ndarray]
    probabilities: frozenset[str] = frozenset()
    """Names of the regressions that are of a probability whatever the outcome."""
    amounts: frozenset[str] = frozenset()


LEARNERS: dict[str, Learner] = {
    "t": Learner(_t, _t_effect),
    "s": Learner(_s, _s_effect),
    "x": Learner(_x, _x_effect, frozenset({PROPENSITY}), frozenset({"effect_with", "effect_without"})),
    "dr": Learner(_dr, lambda models, seen: models["effect"].predict(seen.effect), amounts=frozenset({"effect"})),
    "class": Learner(_class, lambda models, seen: 2 * models["agrees"].predict(seen.effect) - 1, frozenset({"agrees"})),
}
"""T: a regression an arm; S: one for both; X: Künzel et al. (2019); DR: Kennedy (2023); class: Jaśkowski and
Jaroszewicz (2012), weighted by propensities."""
