"""What moves the probability of fraud, or makes an order strange, in words."""

import numpy as np
import pandas as pd

from ecomine.explanation import CASE_COLUMNS, DRIVER_COLUMNS, RAISES, Explanation, because, drivers, words
from ecomine.risk.features import ANOMALY, FRAUD
from ecomine.risk.model import Guard
from ecomine.risk.params import RiskParams

CASES = 10
"""Payments that are explained one by one, those with the highest scores."""

STRANGEST = 0.1
"""Share of the orders whose reasons are counted, where nobody says what is fraud."""

MOST = 12


def explain(model: Guard, frame: pd.DataFrame, params: RiskParams) -> Explanation:
    """Contributions to the log odds of fraud; without labels how often a column is a reason of the strangest orders."""
    frame = frame.reset_index(drop=True)
    score = model.score(frame)[1]
    top = np.lexsort((frame["payment_id"].to_numpy(), -score))
    units, some = frame["payment_id"].to_numpy(object), top[:CASES]
    if model.mode == FRAUD:
        parts, seen = model.events.contributions(frame), frame[model.events.names].astype(float)
        told, why = drivers(FRAUD, parts, seen, MOST), because(parts.iloc[some], seen.iloc[some])
        outcome = FRAUD
    else:
        strange = top[: max(int(STRANGEST * len(top)), 1)]
        told, outcome = _counted(model.reasons(frame.iloc[strange])), ANOMALY
        said = model.reasons(frame.iloc[some]).to_numpy(object)
        why = np.array(["; ".join(words(str(one)) for one in row if one) for row in said], object)
    cases = pd.DataFrame({"unit": units[some], "outcome": outcome, "told": score[some], "because": why})
    return Explanation(told, cases[list(CASE_COLUMNS)])


def _counted(reasons: pd.DataFrame) -> pd.DataFrame:
    """Reasons as drivers: strength is the share of the orders that name it."""
    values = reasons.to_numpy(object).ravel()
    count = pd.Series(values[values != ""]).value_counts()
    table = pd.DataFrame({"driver": [words(str(name)) for name in count.index], "strength": count.to_numpy(float)})
    table = table.sort_values(["strength", "driver"], ascending=[False, True], ignore_index=True)
    share = table["strength"] / max(float(table["strength"].sum()), 1.0)
    table = table.assign(outcome=ANOMALY, share=share, direction=RAISES, strength=table["strength"] / len(reasons))
    return table.head(MOST)[list(DRIVER_COLUMNS)]
