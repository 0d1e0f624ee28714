"""What moves the demand for items, in words: regression and trees together."""

import numpy as np
import pandas as pd

from ecomine.explanation import CASE_COLUMNS, Explanation, because, drivers
from ecomine.pricing.model import Pricer
from ecomine.pricing.params import PricingParams

DEMAND = "demand"
CASES = 10
"""Items that are explained one by one, those that sell most."""

NAMES = {
    "own": "own price", "cross": "prices of the category's other items", "rival": "rival's price",
    "season_sine": "season (summer half)", "season_cosine": "season (winter half)", "trend": "trend over the years",
    "momentum": "how it sold of late", "recent_item": "surplus of late, all places",
    "last_year": "surplus a year ago", "ahead": "weeks ahead", "level": "usual level of sales",
    "elasticity": "item's elasticity", **{f"recent_{size}": f"surplus of the last {size} weeks" for size in
                                          (1, 4, 13, 52)},
    **{f"own_before_{lag}": f"own price {lag} weeks before" for lag in (1, 2)},
}  # fmt: skip
"""Columns of the demand model that do not speak for themselves; prices are logs over the item's usual price."""


def explain(model: Pricer, frame: pd.DataFrame, params: PricingParams) -> Explanation:
    """Contributions to the log of the units of a week, over the rows given; single items at their first row."""
    rows = model.sales(frame).drop(columns="units", errors="ignore").reset_index(drop=True)
    if rows.empty:
        return Explanation(drivers(DEMAND, pd.DataFrame(), pd.DataFrame()), pd.DataFrame(columns=list(CASE_COLUMNS)))
    parts, seen = (one.rename(columns=NAMES) for one in model.demand.contributions(rows))
    units = model.demand.predict(rows)
    first = rows.assign(_row=np.arange(len(rows)), _units=units).drop_duplicates("item_id")
    some = first.sort_values(["_units", "item_id"], ascending=[False, True]).head(CASES)["_row"].to_numpy()
    cases = pd.DataFrame(
        {
            "unit": rows["item_id"].to_numpy(object)[some],
            "outcome": DEMAND,
            "told": units[some],
            "because": because(parts.iloc[some], seen.iloc[some]),
        }
    )
    return Explanation(drivers(DEMAND, parts, seen), cases)
