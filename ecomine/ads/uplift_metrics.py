"""How good a ranking of people by uplift is, told from an experiment: Qini, AUUC, uplift at k, with intervals.

Arrays of one length: `score` (greater is to be reached first), `treated` and `outcome`. Equal scores are taken
together, so that the order of rows never matters. All numbers come from four running sums (people and outcomes, treated
and not), which a bootstrap sample changes by its weights alone: people are drawn again, the ranking stays.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ecomine.errors import FeatureError, NotEnoughDataError

BLOCK = 4_000_000
"""Entries of the running sums of bootstrap samples that are in memory together."""


@dataclass(frozen=True)
class Ranked:
    """Rows from the greatest score down; `last` is the place of the last row of each group of equal scores."""

    treated: np.ndarray
    outcome: np.ndarray
    last: np.ndarray

    def sums(self, weight: np.ndarray) -> tuple[np.ndarray, ...]:
        """Running sums at the end of each group: all people, treated ones, outcomes of treated, of the others.

        `weight` is samples × rows; so are the sums, samples × groups.
        """
        parts = (np.ones(len(self.treated)), self.treated, self.treated * self.outcome, self.outcome)
        people, treated, with_it, outcomes = (np.cumsum(weight * part, axis=1)[:, self.last] for part in parts)
        return people, treated, with_it, outcomes - with_it


def ranked(score: np.ndarray, treated: np.ndarray, outcome: np.ndarray) -> Ranked:
    """Sorts; raises FeatureError for unequal lengths or unknown scores, NotEnoughDataError where an arm is empty."""
    score, treated, outcome = (np.asarray(values, float) for values in (score, treated, outcome))
    if not len(score) == len(treated) == len(outcome):
        raise FeatureError(
            f"{len(score):,} scores, {len(treated):,} treatments and {len(outcome):,} outcomes; expected one of each."
        )
    if np.isnan(score).any() or np.isnan(outcome).any():
        raise FeatureError("A score or an outcome is missing; leave out the rows that have none.")
    if not np.isin(treated, (0.0, 1.0)).all():
        raise FeatureError("`treated` holds other values than 0 and 1; expected who was reached, yes or no.")
    if len(np.unique(treated)) < 2:
        raise NotEnoughDataError("All rows are of one arm; uplift is seen only where some were reached and some not.")
    order = np.argsort(-score, kind="stable")
    last = np.append(np.flatnonzero(np.diff(score[order])), len(order) - 1)
    return Ranked(treated[order], outcome[order], last)


def _gain(people: np.ndarray, treated: np.ndarray, with_it: np.ndarray, without: np.ndarray) -> np.ndarray:
    """Outcomes that the treated have more than as many of the others would."""
    others = people - treated
    return with_it - without * np.divide(treated, others, out=np.zeros_like(treated), where=others > 0)


def _area(people: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """Area under a curve that begins at (0, 0), above the straight line to its end; a number a sample."""
    start = np.zeros((len(people), 1))
    x, y = np.hstack([start, people]), np.hstack([start, gain])
    area = (np.diff(x, axis=1) * (y[:, 1:] + y[:, :-1]) / 2).sum(axis=1)
    return np.asarray(area - x[:, -1] * y[:, -1] / 2)


def qini_curve(score: np.ndarray, treated: np.ndarray, outcome: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """People reached, and the outcomes gained among the treated of them (Radcliffe 2007), from (0, 0) on."""
    rows = ranked(score, treated, outcome)
    sums = rows.sums(np.ones((1, len(rows.treated))))
    return np.append(0.0, sums[0][0]), np.append(0.0, _gain(*sums)[0])


def _qini(rows: Ranked, ideal: Ranked) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    def measure(weight: np.ndarray, ideal_weight: np.ndarray) -> np.ndarray:
        areas = []
        for one, given in ((rows, weight), (ideal, ideal_weight)):
            sums = one.sums(given)
            areas.append(_area(sums[0], _gain(*sums)))
        return np.asarray(areas[0] / areas[1])

    return measure


def qini(score: np.ndarray, treated: np.ndarray, outcome: np.ndarray) -> float:
    """Qini coefficient: area between curve and diagonal, over the same of the ideal ranking.

    The ideal ranking puts the treated with an outcome first and the others with one last; so does scikit-uplift's
    `qini_auc_score`. Outcomes are 0 or 1. Source: Radcliffe, Using control groups to target on predicted lift (2007).

    >>> qini(np.array([4, 3, 2, 1]), np.array([1, 0, 1, 0]), np.array([1, 0, 0, 1]))
    1.0
    """
    return float(_qini_measure(score, treated, outcome)(None)[0])


def _qini_measure(score: np.ndarray, treated: np.ndarray, outcome: np.ndarray) -> Callable[..., np.ndarray]:
    if not np.isin(outcome, (0, 1)).all():
        raise FeatureError("Qini needs outcomes of 0 and 1, such as a visit; for money take `auuc`.")
    treated, outcome = np.asarray(treated, float), np.asarray(outcome, float)
    perfect = outcome * (2 * treated - 1)
    rows, ideal = ranked(score, treated, outcome), ranked(perfect, treated, outcome)
    places = [np.argsort(-np.asarray(key, float), kind="stable") for key in (score, perfect)]
    measure = _qini(rows, ideal)

    def of(weight: np.ndarray | None) -> np.ndarray:
        drawn = np.ones((1, len(outcome))) if weight is None else weight
        return measure(drawn[:, places[0]], drawn[:, places[1]])

    return of


def _auuc_measure(score: np.ndarray, treated: np.ndarray, outcome: np.ndarray) -> Callable[..., np.ndarray]:
    rows, place = ranked(score, treated, outcome), np.argsort(-np.asarray(score, float), kind="stable")

    def of(weight: np.ndarray | None) -> np.ndarray:
        drawn = np.ones((1, len(place))) if weight is None else weight
        people, treated_, with_it, without = rows.sums(drawn[:, place])
        others = people - treated_
        rate = np.divide(with_it, treated_, out=np.zeros_like(treated_), where=treated_ > 0)
        plain = np.divide(without, others, out=np.zeros_like(others), where=others > 0)
        gain = np.where((treated_ > 0) & (others > 0), rate - plain, 0.0) * people
        total = people[:, -1:]
        start = np.zeros((len(people), 1))
        x, y = np.hstack([start, people / total]), np.hstack([start, gain / total])
        return np.asarray((np.diff(x, axis=1) * (y[:, 1:] + y[:, :-1]) / 2).sum(axis=1))

    return of


def auuc(score: np.ndarray, treated: np.ndarray, outcome: np.ndarray) -> float:
    """Area under the uplift curve, outcome gained a person: reaching the first share of the ranking, over all shares.

    At random it is half the average effect. Source: Gutierrez and Gérardy, Causal inference and uplift modelling
    (2017), eq. 15, divided by the number of people.
    """
    return float(_auuc_measure(score, treated, outcome)(None)[0])


def _top_measure(share: float) -> Callable[..., Callable[..., np.ndarray]]:
    def make(score: np.ndarray, treated: np.ndarray, outcome: np.ndarray) -> Callable[..., np.ndarray]:
        rows = ranked(score, treated, outcome)
        place = np.argsort(-np.asarray(score, float), kind="stable")

        def of(weight: np.ndarray | None) -> np.ndarray:
            drawn = np.ones((1, len(place))) if weight is None else weight
            people, treated_, with_it, without = rows.sums(drawn[:, place])
            wanted = share * people[:, -1]
            # Equal scores are reached in the same shares: sums between two ends of groups are interpolated.
            at = np.minimum((people < wanted[:, None]).sum(axis=1), people.shape[1] - 1)
            row = np.arange(len(people))
            before = np.maximum(at - 1, 0)

            def upto(sums: np.ndarray) -> np.ndarray:
                low = np.where(at > 0, sums[row, before], 0.0)
                low_people = np.where(at > 0, people[row, before], 0.0)
                part = (wanted - low_people) / np.maximum(people[row, at] - low_people, 1e-12)
                return np.asarray(low + part * (sums[row, at] - low))

            reached, all_people = upto(treated_), wanted
            with np.errstate(invalid="ignore", divide="ignore"):
                return np.asarray(upto(with_it) / reached - upto(without) / (all_people - reached))

        return of

    return make


def uplift_at(score: np.ndarray, treated: np.ndarray, outcome: np.ndarray, share: float) -> float:
    """Effect among the first `share` of the ranking: mean outcome of its treated less that of the others."""
    return float(_top_measure(share)(score, treated, outcome)(None)[0])


MEASURES: dict[str, Callable[..., Callable[..., np.ndarray]]] = {
    "qini": _qini_measure,
    "auuc": _auuc_measure,
    "uplift@10%": _top_measure(0.1),
    "uplift@30%": _top_measure(0.3),
}


@dataclass(frozen=True)
class Measured:
    """A measure with its bootstrap interval."""

    value: float
    low: float
    high: float


def interval(
    measure: str,
    score: np.ndarray,
    treated: np.ndarray,
    outcome: np.ndarray,
    confidence: float = 0.95,
    samples: int = 500,
    seed: int = 0,
) -> Measured:
    """One of MEASURES with a percentile bootstrap interval over people."""
    value, drawn = bootstrap(measure, [score], treated, outcome, samples, seed)
    low, high = np.nanquantile(drawn[0], [(1 - confidence) / 2, (1 + confidence) / 2])
    return Measured(float(value[0]), float(low), float(high))


def bootstrap(
    measure: str,
    scores: list[np.ndarray],
    treated: np.ndarray,
    outcome: np.ndarray,
    samples: int = 500,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """The measure of several rankings of the same people, and of the same bootstrap samples: rankings, and × samples.

    Whether two rankings differ is told by the differences of their rows.
    """
    if measure not in MEASURES:
        raise FeatureError(f"There is no measure {measure!r}; there are {', '.join(MEASURES)}.")
    made = [MEASURES[measure](np.asarray(score), treated, outcome) for score in scores]
    random, rows = np.random.default_rng(seed), len(treated)
    block = max(1, BLOCK // rows)
    drawn = []
    for start in range(0, samples, block):
        size = min(block, samples - start)
        weight = random.multinomial(rows, np.full(rows, 1 / rows), size).astype(float)
        drawn.append(np.stack([of(weight) for of in made]))
    return np.array([of(None)[0] for of in made]), np.concatenate(drawn, axis=1)
