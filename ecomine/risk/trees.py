"""Boosted trees as plain arrays, walked by NumPy: a row in a few hundredths of a millisecond.

XGBoost's own prediction of one row takes several times as long, nearly all of it to hand the row over. Sums are made in
single precision and tree after tree, as XGBoost makes them, so that margins are the same to the last bit.
"""

import json
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

LEAF = -1


@dataclass(frozen=True)
class Trees:
    """Nodes of all trees one after the other, and the numbers of their roots.

    feature: column asked at a node; threshold: rows below it go left; left, right: number of the next node, of a leaf
    itself; absent: where rows without the value go; value: what a leaf adds; cover: weight of the rows that came
    through a node. base: the margin before any tree. depth: questions of the deepest tree.
    """

    roots: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    absent: np.ndarray
    value: np.ndarray
    cover: np.ndarray
    base: np.float32
    depth: int

    @classmethod
    def of(cls, booster: Any) -> Self:
        """From a booster of numerical features with a logistic objective, as `RareEvents` grows them."""
        learner = json.loads(bytes(booster.save_raw("json")))["learner"]
        trees = learner["gradient_booster"]["model"]["trees"]
        sizes = [len(tree["left_children"]) for tree in trees]
        roots = np.cumsum([0, *sizes[:-1]])
        start = np.repeat(roots, sizes)

        def joined(name: str, kind: type) -> np.ndarray:
            return np.concatenate([np.asarray(tree[name], kind) for tree in trees])

        number, left = np.arange(len(start)), joined("left_children", np.intp)
        right, value = joined("right_children", np.intp), joined("split_conditions", np.float32)
        leaf = left == LEAF
        left, right = np.where(leaf, number, left + start), np.where(leaf, number, right + start)
        depth, here = 0, roots
        while not leaf[here].all():
            here = np.unique(np.concatenate([left[here], right[here]]))
            depth += 1
        return cls(
            roots=roots, feature=np.where(leaf, 0, joined("split_indices", np.intp)), threshold=value, left=left,
            right=right, absent=np.where(joined("default_left", bool), left, right), value=value,
            cover=joined("sum_hessian", np.float32),
            base=_base(booster), depth=depth,
        )  # fmt: skip

    def margin(self, row: np.ndarray) -> np.float32:
        """The margin of one row of features in single precision, nulls as NaN."""
        node = self.roots
        for _ in range(self.depth):
            asked = row[self.feature[node]]
            onward = np.where(asked < self.threshold[node], self.left[node], self.right[node])
            node = np.where(asked != asked, self.absent[node], onward)
        # One after the other, as floats are not added up alike in another order.
        return np.float32(np.add.accumulate(np.append(self.base, self.value[node]), dtype=np.float32)[-1])


def _base(booster: Any) -> np.float32:
    """What XGBoost begins with: its logarithm is rounded in another way than NumPy's or Python's, so it is asked."""
    import xgboost

    first = json.loads(bytes(booster[0:1].save_raw("json")))
    tree = first["learner"]["gradient_booster"]["model"]["trees"][0]
    tree["split_conditions"] = [0.0] * len(tree["split_conditions"])
    silent = xgboost.Booster({"nthread": 1}, model_file=bytearray(json.dumps(first).encode()))
    row = np.zeros((1, booster.num_features()), np.float32)
    return np.float32(silent.inplace_predict(row, predict_type="margin", validate_features=False)[0])
