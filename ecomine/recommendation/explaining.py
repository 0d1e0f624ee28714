"""What moves the order of the lists, for people to read."""

import pandas as pd

from ecomine.explanation import Explanation, because, drivers
from ecomine.recommendation.model import Recommender
from ecomine.recommendation.params import RecommendationParams
from ecomine.recommendation.purchases import codes

SHOWN = 8


def explain(model: Recommender, rows: pd.DataFrame, params: RecommendationParams) -> Explanation:
    """Drivers of a product's place on a list, and the reasons of the products that score highest for some customers."""
    design = model.design(rows)
    parts = pd.DataFrame(model.ranker.contributions(design), columns=design.columns)
    best = rows[["user_id", "item_id"]].reset_index(drop=True).assign(told=model.score(rows))
    best = best.sort_values(["told", "user_id", "item_id"], ascending=[False, True, True])
    best = best.drop_duplicates("user_id").head(SHOWN)
    titles = model.assortment.titles[codes(model.finder.items, best["item_id"])]
    cases = pd.DataFrame(
        {
            "unit": best["user_id"].to_numpy(), "outcome": titles, "told": best["told"].to_numpy(float),
            "because": because(parts.iloc[best.index], design.iloc[best.index]),
        }
    )  # fmt: skip
    return Explanation(drivers("place", parts, design), cases)
