"""An isolation forest as plain arrays: grown by scikit-learn, walked by NumPy, kept without code or trust."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from ecomine.errors import DamagedError

SAMPLE = 256
"""Rows that a tree is grown on (Liu, Ting and Zhou 2008)."""

LEAF = -1


@dataclass(frozen=True)
class IsolationTrees:
    """Trees × nodes. feature: column asked at a node, LEAF at a leaf; threshold: rows up to it go left; left, right:
    number of the next node; length: at a leaf, how many questions it takes to get there and would take to part its
    rows; usual: average length of a tree's sample.
    """

    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    length: np.ndarray
    usual: float

    @classmethod
    def grow(cls, values: np.ndarray, trees: int, seed: int, threads: int) -> Self:
        """Grows them on a matrix without nulls."""
        from sklearn.ensemble import IsolationForest

        forest = IsolationForest(n_estimators=trees, max_samples="auto", random_state=seed, n_jobs=threads).fit(values)
        grown = [estimator.tree_ for estimator in forest.estimators_]
        size = max(tree.node_count for tree in grown)

        def padded(columns: list[np.ndarray], fill: float, kind: type) -> np.ndarray:
            table = np.full((len(grown), size), fill, kind)
            for row, column in zip(table, columns, strict=True):
                row[: len(column)] = column
            return table

        leaf = [tree.children_left < 0 for tree in grown]
        return cls(
            feature=padded(
                [np.where(end, LEAF, tree.feature) for end, tree in zip(leaf, grown, strict=True)], LEAF, np.int32
            ),
            threshold=padded([tree.threshold for tree in grown], 0.0, np.float64),
            left=padded([np.maximum(tree.children_left, 0) for tree in grown], 0, np.int32),
            right=padded([np.maximum(tree.children_right, 0) for tree in grown], 0, np.int32),
            length=padded([_depth(tree) + _parting(tree.n_node_samples) for tree in grown], 0.0, np.float64),
            usual=float(_parting(np.array([min(SAMPLE, len(values))]))[0]),
        )

    def isolation(self, values: np.ndarray) -> np.ndarray:
        """How easily each row is isolated: near 1 for the strange, near 0.5 and below for the usual."""
        rows, place = values.astype(np.float32), np.arange(len(values))
        total = np.zeros(len(values))
        for feature, threshold, left, right, length in zip(
            self.feature, self.threshold, self.left, self.right, self.length, strict=True
        ):
            node = np.zeros(len(values), np.int64)
            going = np.flatnonzero(feature[node] != LEAF)
            while len(going):
                here = node[going]
                goes_left = rows[place[going], feature[here]] <= threshold[here]
                node[going] = np.where(goes_left, left[here], right[here])
                going = going[feature[node[going]] != LEAF]
            total += length[node]
        return np.asarray(2.0 ** (-total / len(self.feature) / self.usual))

    def save(self, path: Path) -> None:
        """NumPy's npz."""
        np.savez(path, allow_pickle=False, **{name: np.asarray(value) for name, value in vars(self).items()})

    @classmethod
    def load(cls, path: Path, columns: int) -> Self:
        """The inverse of `save`; DamagedError where a node leads nowhere, back, or asks for no column."""
        with np.load(path, allow_pickle=False) as kept:
            arrays = {name: kept[name] for name in ("feature", "threshold", "left", "right", "length")}
            trees = cls(**arrays, usual=float(kept["usual"]))
        number = np.arange(trees.feature.shape[1])
        ahead = [(child > number) & (child < len(number)) for child in (trees.left, trees.right)]
        sound = (trees.feature == LEAF) | ((trees.feature >= 0) & (trees.feature < columns) & ahead[0] & ahead[1])
        if not sound.all():
            raise DamagedError(f"{path} holds trees that cannot be walked; train the model again.")
        return trees


def _depth(tree: object) -> np.ndarray:
    """Questions before each node."""
    left, right = tree.children_left, tree.children_right  # type: ignore[attr-defined]
    depth = np.zeros(len(left))
    # Children are numbered after their parent, and a tree has few hundred nodes.
    for node in np.flatnonzero(left >= 0):
        depth[left[node]] = depth[right[node]] = depth[node] + 1
    return depth


def _parting(rows: np.ndarray) -> np.ndarray:
    """Average questions that it takes to part so many rows (equation 1 of the paper)."""
    count = rows.astype(float)
    many = np.maximum(count, 3.0)
    length = 2.0 * (np.log(many - 1.0) + np.euler_gamma) - 2.0 * (many - 1.0) / many
    return np.where(count <= 1, 0.0, np.where(count == 2, 1.0, length))
