"""What moves the probability that somebody answers a contact, in words."""

import numpy as np
import pandas as pd

from ecomine.ads.model import Placement
from ecomine.ads.params import AdsParams
from ecomine.explanation import CASE_COLUMNS, Explanation, because, drivers

RESPONSE = "response"
CASES = 10
"""Contacts that are explained one by one: the likeliest and, of the others, some evenly spread."""


def explain(model: Placement, frame: pd.DataFrame, params: AdsParams) -> Explanation:
    """Contributions to the log odds of an answer of who is reached; what a contact changes has no such parts."""
    seen = model.seen(frame.reset_index(drop=True))
    parts = model.response.contributions(seen)
    chance = model.response.predict(seen)
    design = seen.assign(**{name: seen[name].astype("category").cat.codes.astype(float)
                            for name in seen.columns if not pd.api.types.is_numeric_dtype(seen[name])})  # fmt: skip
    design = design[list(parts.columns)]
    table = drivers(RESPONSE, parts, design)
    order = np.lexsort((np.arange(len(chance)), -chance))
    some = order[np.unique(np.linspace(0, len(order) - 1, min(CASES, len(order))).astype(int))]
    numbers = [name for name in parts.columns if pd.api.types.is_numeric_dtype(seen[name])]
    why = because(parts.iloc[some][numbers], design.iloc[some][numbers])
    cases = pd.DataFrame(
        {"unit": frame["user_id"].to_numpy(object)[some], "outcome": RESPONSE, "told": chance[some], "because": why}
    )
    return Explanation(table, cases[list(CASE_COLUMNS)])
