"""Kinds of customers: found in behaviour, named by what sets them apart, and the same from one run to the next."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ecomine.columns import require
from ecomine.errors import FeatureError, NotEnoughDataError, SettingsError
from ecomine.profiling.encoding import numbers
from ecomine.store import write_json

KMEANS, GAUSSIAN = "kmeans", "gaussian"
_SAMPLE = 5_000
"""Customers that a choice of k is made on; more change stability and silhouette by less than their error."""

_LEARNT = 50_000
"""Customers that centres are found on; more move them by less than a hundredth of their spread."""

_REPEATS = 5
_ENOUGH = 0.85
"""Share of the best product of stability and silhouette that is near enough."""

_SAME = 1.5
"""Steps at most between the centres of a segment and of the earlier one whose name it keeps."""

_APART = 0.25
"""Steps by which a segment must differ from everybody for its name to say so."""


class Segmenter:
    """K-means, or a Gaussian mixture, on scaled behaviour.

    k: number of segments, or None to choose it among 2 … `most`: by stability (mean adjusted Rand index between
    clusterings of bootstrap samples; Hubert and Arabie 1985, Ben-Hur et al. 2002) times silhouette (Rousseeuw 1987),
    the most segments that come near the best product, since more of them tell more.
    words: column → words for much and little of it, from which names are made. Columns are squashed by a signed
    logarithm, scaled and cut at 3 steps from the middle; a null counts as the median. steps: column → what counts as
    one step of it, after the logarithm; the spread of a column that has none. Spreads make much of columns in which
    customers differ by chance alone.
    """

    def __init__(
        self,
        k: int | None = None,
        method: str = KMEANS,
        words: Mapping[str, Sequence[str]] | None = None,
        most: int = 8,
        seed: int = 42,
        steps: Mapping[str, float] | None = None,
    ) -> None:
        if method not in (KMEANS, GAUSSIAN):
            raise SettingsError(f"The method of segmentation is {method!r}; expected {KMEANS} or {GAUSSIAN}.")
        self.k, self.method, self.most, self.seed = k, method, most, seed
        self.words = {name: list(pair) for name, pair in (words or {}).items()}
        self.steps = dict(steps or {})

    def fit(self, frame: pd.DataFrame, previous: "Segmenter | None" = None) -> "Segmenter":
        """Finds segments; those nearest to the `previous` run's centroids get its numbers and names.

        Raises NotEnoughDataError for fewer than four rows, FeatureError where previous columns are others.
        """
        from threadpoolctl import threadpool_limits

        if len(frame) < 4:
            raise NotEnoughDataError(f"{len(frame)} customers; at least four are needed to tell kinds apart.")
        self.columns = [str(name) for name in frame.columns]
        squashed = _squash(frame)
        self.middle = np.nan_to_num(np.nanmedian(squashed, axis=0))
        low, high = np.nanquantile(squashed, [0.1, 0.9], axis=0)
        spread = np.nan_to_num((high - low) / 2.56)
        deviation = np.nan_to_num(np.nanstd(squashed, axis=0))
        spread = np.where(spread > 1e-9, spread, deviation)
        spread = np.where(spread > 1e-9, spread, 1.0)
        self.scale = np.array(
            [self.steps.get(name, float(own)) for name, own in zip(self.columns, spread, strict=True)]
        )
        values = self._scaled(frame)
        random = np.random.default_rng(self.seed)
        # Sums over several threads come in changing order; one thread keeps the bytes the same.
        with threadpool_limits(1):
            order = random.permutation(len(values))
            sample = values[np.sort(order[:_SAMPLE])]
            learnt = values[np.sort(order[:_LEARNT])]
            self.choice = self._choose(sample, random) if self.k is None else []
            enough = _ENOUGH * max((row["score"] for row in self.choice), default=0.0)
            best = max((row for row in self.choice if row["score"] >= enough), key=lambda row: row["k"], default=None)
            number = min(self.k or int(best["k"] if best else 2), len(np.unique(learnt, axis=0)))
            centres, shape = self._cluster(learnt, number, self.seed)
        order = np.lexsort(centres.T[::-1])
        centres, shape = centres[order], shape[order]
        self.labels, kept = _numbers(centres, previous, self)
        self.centres, self.shape = centres, shape
        self.names = self._named(kept)
        return self

    def follow(self, previous: "Segmenter") -> dict[str, str]:
        """Takes over numbers and names of the `previous` segments that these are like; returns own name → new name.

        Raises FeatureError where the previous columns are others.
        """
        own = self.names
        self.labels, kept = _numbers(self.centres, previous, self)
        taken = set(kept.values())
        self.names = [
            kept.get(number) or (name if name not in taken else f"{name} ({number})")
            for number, name in zip(self.labels, own, strict=True)
        ]
        return dict(zip(own, self.names, strict=True))

    def predict(self, frame: pd.DataFrame) -> np.ndarray:
        """Number of each customer's segment; raises FeatureError where a column is missing."""
        return np.asarray(self.labels)[_nearest(self._scaled(frame), self.centres, self.shape)]

    def name(self, numbers_: np.ndarray) -> np.ndarray:
        """Readable names of segment numbers."""
        order = np.argsort(self.labels)
        return np.array(self.names, object)[order][np.searchsorted(np.array(self.labels)[order], numbers_)]

    def _choose(self, sample: np.ndarray, random: np.random.Generator) -> list[dict[str, float]]:
        from sklearn.metrics import adjusted_rand_score, silhouette_score

        rows, distinct = [], len(np.unique(sample, axis=0))
        some = sample[:2_000]
        for k in range(2, min(self.most, distinct - 1) + 1):
            label = []
            for repeat in range(_REPEATS):
                drawn = sample[random.integers(0, len(sample), len(sample))]
                if len(np.unique(drawn, axis=0)) < k:
                    continue
                label.append(_nearest(sample, *self._cluster(drawn, k, self.seed + repeat)))
            pairs = [adjusted_rand_score(a, b) for place, a in enumerate(label) for b in label[place + 1 :]]
            stable = float(np.mean(pairs)) if pairs else 0.0
            apart = float(silhouette_score(some, label[0][: len(some)])) if _several(label, len(some)) else 0.0
            rows.append({"k": k, "stability": stable, "silhouette": apart, "score": stable * max(apart, 0.0)})
        return rows

    def _cluster(self, values: np.ndarray, k: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Centres, and by segment the variances and the logarithm of the share (all equal for k-means)."""
        if self.method == GAUSSIAN and k > 1:
            from sklearn.mixture import GaussianMixture

            mixture = GaussianMixture(k, covariance_type="diag", reg_covar=1e-3, n_init=2, random_state=seed)
            mixture.fit(values)
            return mixture.means_, np.column_stack([mixture.covariances_, np.log(mixture.weights_)])
        from sklearn.cluster import KMeans

        found = KMeans(k, n_init=4, random_state=seed).fit(values)
        return found.cluster_centers_, np.column_stack([np.ones_like(found.cluster_centers_), np.zeros(k)])

    def _scaled(self, frame: pd.DataFrame) -> np.ndarray:
        require(frame.columns, self.columns, "rows", "Give the columns that the segments were found in.")
        scaled = (_squash(frame[self.columns]) - self.middle) / self.scale
        return np.clip(np.nan_to_num(scaled), -3.0, 3.0)

    def _named(self, kept: Mapping[int, str]) -> list[str]:
        """What sets each centre apart from the middle of the centres, strongest first, in at most two words."""
        names: list[str] = []
        middle = self.centres.mean(axis=0)
        for place, number in enumerate(self.labels):
            if number in kept:
                names.append(kept[number])
                continue
            apart = self.centres[place] - middle
            words = []
            for column in np.argsort(-np.abs(apart), kind="stable"):
                if abs(apart[column]) < _APART:
                    break
                plain = [f"high {self.columns[column]}", f"low {self.columns[column]}"]
                pair = self.words.get(self.columns[column], plain)
                word = pair[0] if apart[column] > 0 else pair[1]
                if word and word not in words:
                    words.append(word)
            taken = set(names) | set(kept.values())
            options = [", ".join(words[:count]) for count in range(2, len(words) + 1)]
            options = options or [words[0] if words else "average"]
            free = [option for option in options if option not in taken]
            names.append(free[0] if free else f"{options[0]} ({number})")
        return names

    def save(self, folder: Path, name: str = "segments") -> None:
        """One JSON file."""
        state = {
            "settings": {name: getattr(self, name) for name in ("k", "method", "words", "most", "seed", "steps")},
            "columns": self.columns,
            "labels": list(self.labels),
            "names": self.names,
            "choice": self.choice,
            **{part: getattr(self, part).tolist() for part in ("middle", "scale", "centres", "shape")},
        }
        write_json(folder / f"{name}.json", state)

    @classmethod
    def load(cls, folder: Path, name: str = "segments") -> "Segmenter":
        """The inverse of `save`."""
        state: dict[str, Any] = json.loads((folder / f"{name}.json").read_text())
        model = cls(**state["settings"])
        model.columns, model.labels, model.names = state["columns"], state["labels"], state["names"]
        model.choice = state["choice"]
        for part in ("middle", "scale", "centres", "shape"):
            setattr(model, part, np.array(state[part]))
        return model


def migration(before: pd.Series, after: pd.Series) -> pd.DataFrame:
    """How many customers went from one segment to another: columns before, after, customers, share (of before).

    Both series are names by customer; who is in one only counts as "new" or "gone".
    """
    both = pd.concat([before.rename("before"), after.rename("after")], axis=1).astype(object)
    both = both.fillna({"before": "new", "after": "gone"})
    table = both.groupby(["before", "after"], sort=True).size().rename("customers").reset_index()
    return table.assign(share=table.customers / table.groupby("before").customers.transform("sum"))


def _nearest(values: np.ndarray, centres: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Most probable centre: the nearest one, measured in each segment's own variances."""
    best, result = np.full(len(values), np.inf), np.zeros(len(values), np.int64)
    for place, (centre, row) in enumerate(zip(centres, shape, strict=True)):
        variance, share = row[:-1], row[-1]
        away = ((values - centre) ** 2 / variance).sum(axis=1) + np.log(variance).sum() - 2 * share
        closer = away < best
        best[closer], result[closer] = away[closer], place
    return result


def _numbers(centres: np.ndarray, previous: Segmenter | None, now: Segmenter) -> tuple[list[int], dict[int, str]]:
    """A number for each centre; matched to the previous run by the least total distance (Hungarian assignment).

    What is more than _SAME steps away from its match is a segment of its own.
    """
    if previous is None:
        return list(range(len(centres))), {}
    if previous.columns != now.columns:
        raise FeatureError(
            f"The last run's segments are in {', '.join(previous.columns)}, these in {', '.join(now.columns)}; "
            "the same columns are needed to match them."
        )
    from scipy.optimize import linear_sum_assignment

    old = (previous.centres * previous.scale + previous.middle - now.middle) / now.scale
    away = ((centres[:, None] - old[None]) ** 2).sum(axis=2)
    row, column = linear_sum_assignment(away)
    labels = [-1] * len(centres)
    for mine, theirs in zip(row, column, strict=True):
        if away[mine, theirs] <= _SAME**2:
            labels[mine] = previous.labels[theirs]
    fresh = max(previous.labels) + 1
    for place, label in enumerate(labels):
        if label < 0:
            labels[place], fresh = fresh, fresh + 1
    known = dict(zip(previous.labels, previous.names, strict=True))
    return labels, {number: known[number] for number in labels if number in known}


def _several(label: list[np.ndarray], count: int) -> bool:
    return bool(label) and 1 < len(np.unique(label[0][:count])) < count


def _squash(frame: pd.DataFrame) -> np.ndarray:
    values = np.column_stack([numbers(frame[name]) for name in frame.columns])
    return np.asarray(np.sign(values) * np.log1p(np.abs(values)))
