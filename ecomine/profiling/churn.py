"""Will this customer leave?"""

from typing import ClassVar

from ecomine.profiling.classifier import TabularClassifier
from ecomine.profiling.trees import TreeSettings


class ChurnModel(TabularClassifier):
    """Calibrated probability of leaving, from any columns: shallow trees and logistic regression, half and half.

    The trees are shallow, since churn is mostly a sum of simple causes.
    """

    usual_trees: ClassVar[TreeSettings] = TreeSettings(
        depth=2, rounds=300, learning_rate=0.05, min_child_weight=5, subsample=0.7, colsample=0.3, reg_lambda=5, seeds=3
    )
    usual_share: ClassVar[float] = 0.5
