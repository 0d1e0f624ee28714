"""Was it an experiment? Uplift is claimed only where treatment was drawn by chance, with chances that are known."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ecomine.ads.bases import Boosted
from ecomine.ads.encoding import Design
from ecomine.errors import FeatureError, NotEnoughDataError

LEAST_P = 1e-3
"""Chance of an imbalance like the one seen, below which treatment does not count as drawn by chance."""

LEAST_PROPENSITY = 0.01
"""A person treated more rarely than this, or left alone more rarely, has nobody to be compared with."""

MOST_OUTSIDE = 0.001
"""Share of people who may lie outside."""

LEAST_ARM = 50
FOLDS = 5


@dataclass(frozen=True)
class Evidence:
    """What speaks for uplift being there to learn.

    share: of people treated; p_value: of the balance test; worst: the column that differs most between the arms, with
    its standardised difference; outside: share of people without overlap; claim: whether uplift may be claimed; why
    not, in words.
    """

    share: float
    p_value: float
    worst: str
    difference: float
    outside: float
    claim: bool
    why: str

    @classmethod
    def none(cls, why: str) -> "Evidence":
        """Of what was not an experiment to begin with."""
        nan = float("nan")
        return cls(nan, nan, "", nan, nan, False, why)


def propensities(treated: np.ndarray, propensity: np.ndarray | float | None) -> np.ndarray:
    """A probability of treatment a row; by default the share treated. Raises FeatureError for what is not one."""
    values = np.broadcast_to(
        np.asarray(treated.mean() if propensity is None else propensity, float), treated.shape
    ).copy()
    if not ((values >= 0) & (values <= 1)).all():
        raise FeatureError("A propensity is not in [0, 1]; give the probability with which a person was treated.")
    return values


def evidence(
    frame: pd.DataFrame,
    treated: np.ndarray,
    propensity: np.ndarray | float | None = None,
    unit: pd.Series | np.ndarray | None = None,
) -> Evidence:
    """Tests balance of the columns given the propensities, and overlap.

    Where treatment was drawn with probability e, no function of the columns foretells treated − e. Two such functions
    are tried: all columns and their squares (score test, Σ(t − e)z' V⁺ Σ(t − e)z ~ χ², which without propensities is
    Hansen and Bowers 2008, eq. 6), and trees grown on other rows (one-sided normal). The smaller p-value is doubled.
    `unit` says whose the rows are, where several are drawn together: a person who is held back from all contacts of a
    campaign; sums by unit then take the place of rows.
    """
    treated = np.asarray(treated, float)
    if not np.isin(treated, (0.0, 1.0)).all():
        raise FeatureError("`treated` holds other values than 0 and 1; expected who was reached, yes or no.")
    smallest = int(min(treated.sum(), (1 - treated).sum())) if len(treated) else 0
    if smallest < LEAST_ARM:
        raise NotEnoughDataError(
            f"The smaller arm has {smallest:,} people; expected at least {LEAST_ARM} treated and as many held back."
        )
    chance = propensities(treated, propensity)
    design = Design().fit(frame)
    values = design.raw(frame)
    whose = None if unit is None else np.unique(np.asarray(unit), return_inverse=True)[1]
    found = _by_columns(design, values, treated, chance, whose), _by_trees(values, treated, chance, whose)
    p_value = min(1.0, 2 * min(found))
    worst, difference = _worst(frame, design, values, treated, chance)
    outside = float(((chance < LEAST_PROPENSITY) | (chance > 1 - LEAST_PROPENSITY)).mean())
    why = []
    if p_value < LEAST_P:
        why.append(
            f"treatment was not drawn by chance: it can be foretold (p = {p_value:.1g}), most of all from {worst}, "
            f"which differs by {difference:+.2f} standard deviations between the arms"
            + ("" if propensity is None else " after weighting by the propensities given")
            + "; give the propensities it was drawn with, or run an experiment"
        )
    if outside > MOST_OUTSIDE:
        why.append(
            f"overlap is missing: {outside:.1%} of people were sure to be treated, or sure not to be "
            f"(propensity beyond {LEAST_PROPENSITY:g} and {1 - LEAST_PROPENSITY:g}); leave them out"
        )
    return Evidence(float(treated.mean()), p_value, worst, difference, outside, not why, "; ".join(why))


def _by_columns(
    design: Design, values: np.ndarray, treated: np.ndarray, chance: np.ndarray, whose: np.ndarray | None
) -> float:
    from scipy import stats
    from threadpoolctl import threadpool_limits

    lines = design.straight(values)
    missing = ~np.isfinite(values)
    z = np.hstack([lines, lines**2, missing[:, missing.any(axis=0)].astype(float)])
    inner = chance * (1 - chance)
    with threadpool_limits(1):
        # Without the average: that the share treated differs a little from the plan says nothing about balance.
        z = z - (inner @ z) / max(inner.sum(), 1e-12)
        left = (treated - chance)[:, None] * z
        if whose is None:
            variance = (z * inner[:, None]).T @ z
        else:
            of_unit = np.zeros((int(whose.max()) + 1, z.shape[1]))
            np.add.at(of_unit, whose, left)
            variance = of_unit.T @ of_unit
        score = left.sum(axis=0)
        value, vector = np.linalg.eigh(variance)
        kept = value > 1e-8 * max(value.max(initial=0.0), 1e-12)
        statistic = float((((vector.T @ score) ** 2)[kept] / value[kept]).sum())
    return float(stats.chi2.sf(statistic, int(kept.sum()))) if kept.any() else 1.0


def _by_trees(values: np.ndarray, treated: np.ndarray, chance: np.ndarray, whose: np.ndarray | None) -> float:
    from scipy import special

    left = treated - chance
    number_of = np.arange(len(left)) if whose is None else whose
    part = (np.random.default_rng(0).permutation(int(number_of.max()) + 1) % FOLDS)[number_of]
    told = np.empty(len(left))
    for number in range(FOLDS):
        here = part == number
        trees = Boosted(False, depth=3, rounds=20, learning_rate=0.2, leaf=20, seed=number)
        told[here] = trees.fit(values[~here], left[~here]).predict(values[here])
        told[here] -= told[here].mean()
    if whose is None:
        spread = float((chance * (1 - chance) * told**2).sum()) ** 0.5
    else:
        spread = float((np.bincount(whose, left * told) ** 2).sum()) ** 0.5
    return float(special.ndtr(-float((left * told).sum()) / spread)) if spread > 1e-12 else 1.0


def _worst(
    frame: pd.DataFrame, design: Design, values: np.ndarray, treated: np.ndarray, chance: np.ndarray
) -> tuple[str, float]:
    lines = design.straight(values)
    safe = np.clip(chance, LEAST_PROPENSITY, 1 - LEAST_PROPENSITY)
    with_it, without = treated / safe, (1 - treated) / (1 - safe)
    difference = with_it @ lines / with_it.sum() - without @ lines / without.sum()
    at = int(np.abs(difference).argmax())
    names = [*design.numbers, *(f"{name}={level}" for name, levels in design.levels.items() for level in levels)]
    return names[at], float(difference[at])
