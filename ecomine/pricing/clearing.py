"""Stock to clear: what lies too long is not made dearer meanwhile, whatever demand would bear.

How far a price must fall for stock to be gone by a day is asked over HTTP (`stock` and `clear_weeks`); the rule
`clear_stock` answers that.
"""

import numpy as np
import pandas as pd

from ecomine.domain import Heed

RULE = "stock to clear"
WHY = "; not raised: stock of it is to clear"
NOTHING = ("change", "units_change", "revenue_change", "margin_change")


def to_clear(orders: pd.DataFrame) -> frozenset[str]:
    """Items of which inventory says that stock is to clear at some place."""
    return frozenset(orders["item_id"][orders["stock_to_clear"].to_numpy(bool)])


def not_raised(prices: pd.DataFrame, items: frozenset[str]) -> pd.DataFrame:
    """The prices with those of `items` left where they are, where they would have been raised."""
    held = (prices["item_id"].isin(items) & (prices["change"] > 0)).to_numpy(bool)
    if not held.any():
        return prices
    reason = prices["reason"].to_numpy(object)
    return prices.assign(
        suggested_price=prices["suggested_price"].where(~held, prices["price"]),
        **{name: prices[name].where(~held, 0.0) for name in NOTHING},
        binding_rule=np.where(held, RULE, prices["binding_rule"].to_numpy(object)),
        reason=np.where(held, reason + WHY, reason),
    )


HEED = Heed(to_clear, not_raised)
