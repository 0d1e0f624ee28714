"""Will this session end in a purchase?"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from ecomine.profiling.classifier import TabularClassifier
from ecomine.profiling.encoding import numbers
from ecomine.profiling.trees import TreeSettings


class PurchaseIntent(TabularClassifier):
    """Calibrated probability that a session ends in a purchase, from what was seen of it.

    pages: column with the number of pages (or actions) of a kind → column with the seconds spent on them; from these
    come the totals, the seconds a page and the share of each kind. signals: columns whose product with each other and
    with the pages tells more than each alone, such as the value of the pages seen and the rate of leaving there.
    """

    usual_trees: ClassVar[TreeSettings] = TreeSettings(
        depth=5, rounds=350, learning_rate=0.02, min_child_weight=10, subsample=0.6, colsample=0.3, seeds=3
    )
    usual_averages: ClassVar[bool] = True

    def __init__(
        self,
        pages: Mapping[str, str] | None = None,
        signals: Sequence[str] = (),
        trees: TreeSettings | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(trees, **settings)
        self.pages, self.signals = dict(pages or {}), tuple(signals)

    def derive(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The columns given, and what follows from `pages` and `signals`."""
        if not self.pages:
            return frame
        count = {name: numbers(frame[name]) for name in self.pages}
        seconds = {name: numbers(frame[column]) for name, column in self.pages.items()}
        pages, time = sum(count.values()), sum(seconds.values())
        derived = {"pages": pages, "seconds": time, "seconds a page": time / np.maximum(pages, 1)}
        for name in self.pages:
            derived[f"{name}: seconds a page"] = seconds[name] / np.maximum(count[name], 1)
            derived[f"{name}: share of pages"] = count[name] / np.maximum(pages, 1)
        values = {name: numbers(frame[name]) for name in self.signals}
        for place, (name, value) in enumerate(values.items()):
            derived[f"{name} × pages"] = value * pages
            derived[f"{name} a page"] = value / np.maximum(pages, 1)
            for other in list(values)[place + 1 :]:
                derived[f"{name} × {other}"] = value * values[other]
                derived[f"{name} - {other}"] = value - values[other]
                derived[f"{name} / {other}"] = value / np.maximum(values[other], 1e-6)
        return frame.assign(**derived)

    def _arguments(self) -> dict[str, object]:
        return {**super()._arguments(), "pages": self.pages, "signals": list(self.signals)}
