"""What others make of orders: lists end with what is about to run out, and what is to clear is not raised."""

import pandas as pd

from ecomine import pricing, recommendation

ORDERS = pd.DataFrame(
    {
        "item_id": ["a", "a", "b", "b", "c"], "location_id": ["n", "s", "n", "s", "n"],
        "about_to_run_out": [True, True, True, False, False], "stock_to_clear": [False, False, False, True, True],
    }
)  # fmt: skip


def test_lists_end_with_what_runs_out_everywhere() -> None:
    heed = recommendation.DOMAIN.heeds["inventory"]
    lists = pd.DataFrame(
        {
            "user_id": ["u", "u", "u", "v", "w", "w"], "rank": [1, 2, 3, 1, 1, 2],
            "item_id": ["a", "b", "c", "a", "c", "b"], "score": 1.0, "propensity": 1.0, "reason": "why",
        }
    )  # fmt: skip
    before = lists.copy()
    found = heed.apply(lists, heed.read(ORDERS))
    pd.testing.assert_frame_equal(lists, before)
    assert found["item_id"].tolist() == ["b", "c", "a", "a", "c", "b"]
    assert found["rank"].tolist() == [1, 2, 3, 1, 1, 2] and found["user_id"].tolist() == lists["user_id"].tolist()
    assert found["reason"].str.contains("about to run out").tolist() == [False, False, True, True, False, False]
    pd.testing.assert_frame_equal(heed.apply(lists, frozenset()), lists)
    assert list(found.dtypes) == list(lists.dtypes)


def test_what_is_to_clear_is_not_made_dearer() -> None:
    heed = pricing.DOMAIN.heeds["inventory"]
    prices = pd.DataFrame(
        {
            "item_id": ["a", "b", "c"], "price": 10.0, "suggested_price": [11.0, 11.0, 9.0], "change": [0.1, 0.1, -0.1],
            "units_change": [-1.0, -1.0, 2.0], "revenue_change": 1.0, "margin_change": 1.0, "binding_rule": "none",
            "reason": "why",
        }
    )  # fmt: skip
    found = heed.apply(prices, heed.read(ORDERS))
    assert found["suggested_price"].tolist() == [11.0, 10.0, 9.0]
    assert found["change"].tolist() == [0.1, 0.0, -0.1] and found["margin_change"].tolist() == [1.0, 0.0, 1.0]
    assert found["binding_rule"].tolist() == ["none", "stock to clear", "none"]
    assert "stock of it is to clear" in found["reason"][1]
