"""What each feature adds to the margin of boosted trees: Shapley values from tables made once a model.

Lundberg and Lee (2017), path dependent. A leaf's part depends on nothing but which questions on its way a row answers
as the way does: of a way of four questions there are sixteen cases, and what each feature on it gets in each case is
known beforehand. A row then takes a lookup a leaf.
"""

from dataclasses import dataclass
from itertools import combinations
from math import factorial
from typing import Self

import numpy as np

from ecomine.risk.trees import Trees

DEEPEST = 6
"""Questions on a way up to which tables are small."""

AT_ONCE = 64
"""Rows."""


@dataclass(frozen=True)
class Shares:
    """node, leftward: the questions on the way of each leaf and whether it goes left there (leaves × depth), -1 past
    its end; feature: those on its way, each once (leaves × depth), the number of features past their end; table: what
    each gets by case (leaves × cases × depth).
    """

    trees: Trees
    node: np.ndarray
    leftward: np.ndarray
    feature: np.ndarray
    table: np.ndarray
    features: int

    @classmethod
    def of(cls, trees: Trees, features: int) -> Self:
        """Tables of trees of up to DEEPEST questions; they have about 2 MB for 150 trees of four questions."""
        ways = [way for root in trees.roots.tolist() for way in _ways(trees, root)]
        depth, leaves = max(trees.depth, 1), len(ways)
        node, leftward = np.full((leaves, depth), -1, np.intp), np.zeros((leaves, depth), bool)
        feature = np.full((leaves, depth), features, np.intp)
        slot = np.full((leaves, depth), -1, np.intp)
        kept, value = np.ones((leaves, depth)), np.empty(leaves)
        for leaf, (end, steps) in enumerate(ways):
            value[leaf] = trees.value[end]
            own: list[int] = []
            for place, (here, onward) in enumerate(steps):
                asked = int(trees.feature[here])
                if asked not in own:
                    own.append(asked)
                number = own.index(asked)
                node[leaf, place], leftward[leaf, place], slot[leaf, place] = here, onward == trees.left[here], number
                kept[leaf, number] *= float(trees.cover[onward]) / float(trees.cover[here])
            feature[leaf, : len(own)] = own
        cases = np.arange(1 << depth)[:, None] >> np.arange(depth) & 1 > 0
        table = np.zeros((leaves, 1 << depth, depth))
        widths = (feature < features).sum(axis=1)
        for width in range(1, depth + 1):
            rows = np.flatnonzero(widths == width)
            if len(rows):
                table[rows, :, :width] = _parts(cases, slot[rows], kept[rows, :width], value[rows])
        return cls(trees, node, leftward, feature, table, features)

    def contributed(self, values: np.ndarray) -> np.ndarray:
        """What each feature adds to the margin of each row (rows × features); rows have nulls as NaN.

        Sums run over the leaves in their order, so that a row gets the same bits alone and among others.
        """
        found = [self._some(values[start : start + AT_ONCE]) for start in range(0, len(values), AT_ONCE)]
        return np.concatenate(found) if found else np.empty((0, self.features))

    def _some(self, values: np.ndarray) -> np.ndarray:
        trees, rows = self.trees, len(values)
        asked = values[:, trees.feature]
        left = np.where(np.isnan(asked), trees.absent == trees.left, asked < trees.threshold)
        answered = (left[:, self.node] == self.leftward) | (self.node < 0)
        case = answered @ (1 << np.arange(self.node.shape[1]))
        parts = self.table[np.arange(len(self.table)), case]
        width = self.features + 1
        place = np.arange(rows)[:, None, None] * width + self.feature
        summed = np.bincount(place.ravel(), parts.ravel(), rows * width)
        return summed.reshape(rows, width)[:, : self.features]


def _ways(trees: Trees, root: int) -> list[tuple[int, list[tuple[int, int]]]]:
    """Each leaf below a root with the way to it: pairs of a question and the node after it."""
    found, open_ = [], [(root, list[tuple[int, int]]())]
    while open_:
        here, way = open_.pop()
        left, right = int(trees.left[here]), int(trees.right[here])
        if left == here:
            found.append((here, way))
        else:
            open_ += [(right, [*way, (here, right)]), (left, [*way, (here, left)])]
    return found


def _parts(cases: np.ndarray, slot: np.ndarray, kept: np.ndarray, value: np.ndarray) -> np.ndarray:
    """What each feature gets (leaves × cases × features) of leaves that all have as many features on their way.

    slot: which of them each question asks; kept: the share of rows that answer as the way does, for each.
    """
    width = kept.shape[1]
    there = np.ones((len(slot), len(cases), width), bool)
    for place in range(slot.shape[1]):
        for number in range(width):
            there[:, :, number] &= cases[:, place] | (slot[:, place] != number)[:, None]
    one, rest = there.astype(float), np.broadcast_to(kept[:, None, :], there.shape)
    parts = np.zeros(there.shape)
    for number in range(width):
        others = [other for other in range(width) if other != number]
        for size in range(width):
            weight = factorial(size) * factorial(width - size - 1) / factorial(width)
            for known in combinations(others, size):
                product = np.full(there.shape[:2], weight)
                for other in others:
                    product = product * (one if other in known else rest)[:, :, other]
                parts[:, :, number] += product
    return parts * (one - rest) * value[:, None, None]
