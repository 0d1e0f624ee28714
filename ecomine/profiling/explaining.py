"""What moves the predictions, for people to read."""

import numpy as np
import pandas as pd

from ecomine.explanation import CASE_COLUMNS, Explanation, because, drivers
from ecomine.profiling.model import Profiler
from ecomine.profiling.params import ProfilingParams

OUTCOMES = ("value", "churn", "buy")


def explain(model: Profiler, rows: pd.DataFrame, params: ProfilingParams) -> Explanation:
    """Drivers of value, churn and next purchase, and the customers of whom most, least and the middle is told."""
    design = model.design(rows)
    told, parts = model.predict(design), model.contributions(design)
    found = [drivers(name, parts[name], design) for name in OUTCOMES if name in parts]
    cases = []
    for name in OUTCOMES:
        if name not in parts:
            continue
        order = np.argsort(told[name].to_numpy(), kind="stable")
        chosen = np.unique(order[[0, len(order) // 2, -1]])[::-1]
        cases.append(
            pd.DataFrame(
                {
                    "unit": rows["user_id"].to_numpy()[chosen], "outcome": name,
                    "told": told[name].to_numpy(float)[chosen],
                    "because": because(parts[name].iloc[chosen], design.iloc[chosen]),
                }
            ).sort_values("told", ascending=False, kind="stable")
        )  # fmt: skip
    shown = pd.concat(cases, ignore_index=True) if cases else pd.DataFrame(columns=list(CASE_COLUMNS))
    return Explanation(pd.concat(found, ignore_index=True) if found else drivers("", design.iloc[:0], design), shown)
