"""Will this customer leave?"""

from collections.abc import Mapping, Sequence

from ecomine.profiling.classifier import TabularClassifier
from ecomine.profiling.trees import TreeSettings

SHALLOW = TreeSettings(
    depth=2, rounds=300, learning_rate=0.05, min_child_weight=5, subsample=0.7, colsample=0.3, reg_lambda=5, seeds=3
)
"""Shallow trees: churn is mostly a sum of simple causes."""


class ChurnModel(TabularClassifier):
    """Calibrated probability of leaving, from any columns: shallow trees and logistic regression, half and half."""

    def __init__(
        self,
        trees: TreeSettings | None = None,
        share: float = 0.5,
        averages: bool = False,
        as_levels: Sequence[str] = (),
        monotone: Mapping[str, int] | None = None,
        seed: int = 42,
        threads: int = 2,
        knots: int = 6,
    ) -> None:
        super().__init__(trees or SHALLOW, share, averages, as_levels, monotone, seed, threads, knots)
