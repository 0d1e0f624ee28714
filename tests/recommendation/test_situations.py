"""Beside a product and beside a basket, in a shop where tea goes with milk and nothing goes with soap."""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecomine.recommendation import RecommendationParams
from ecomine.recommendation.candidates import CandidateFinder
from ecomine.recommendation.purchases import Purchases
from ecomine.recommendation.situations import Situations

AT = datetime(2024, 5, 30)
PARAMS = RecommendationParams(min_support=3)


@pytest.fixture(scope="module")
def purchases() -> Purchases:
    baskets = [("green tea", "milk")] * 20 + [("black tea", "milk")] * 10 + [("soap",), ("green tea",), ("milk",)] * 8
    lines = [
        {
            "order_id": str(number),
            "user_id": f"u{number % 7}",
            "item_id": item,
            "event_timestamp": AT - timedelta(days=9),
        }
        for number, basket in enumerate(baskets)
        for item in basket
    ]
    items = pd.DataFrame(
        [
            ("green tea", "drinks > tea", "green leaf tea", 300),
            ("black tea", "drinks > tea", "black leaf tea", 300),
            ("white tea", "drinks > tea", "white leaf tea", 4),
            ("milk", "dairy > milk", "whole milk", 300),
            ("soap", "home > soap", "soap", 300),
        ],
        columns=["item_id", "category", "title", "age"],
    )
    items["launch_date"] = AT - pd.to_timedelta(items.pop("age"), unit="D")
    return Purchases.of(pd.DataFrame(lines), AT, items)


@pytest.fixture(scope="module")
def situations(purchases: Purchases) -> Situations:
    return Situations(PARAMS).fit(purchases, CandidateFinder(PARAMS).fit(purchases), None)


def nothing(purchases: Purchases, *names: str) -> np.ndarray:
    return np.isin(purchases.items, names)


def test_similar_products_are_of_the_same_kind_and_may_be_new(situations: Situations, purchases: Purchases) -> None:
    tea, soap, unknown = situations.similar([["green tea"], ["soap"], ["?"]], 3, nothing(purchases), purchases.items)
    assert set(tea["item_id"].iloc[:3]) == {"milk", "black tea", "white tea"}
    assert tea["rank"].tolist() == [1, 2, 3] and (tea["reason"] == "like green tea").all()
    assert soap.empty and unknown.empty
    (new,) = situations.similar([["white tea"]], 3, nothing(purchases), purchases.items)
    assert set(new["item_id"]) == {"green tea", "black tea"}


def test_a_basket_is_answered_by_what_is_bought_with_it(situations: Situations, purchases: Purchases) -> None:
    baskets = [["green tea"], ["milk", "soap"], ["soap"], ["milk", "milk", "?"]]
    tea, milk, soap, twice = situations.beside_basket(baskets, 5, nothing(purchases), purchases.items)
    assert tea["item_id"].tolist() == ["milk"] and tea["reason"].tolist() == ["often bought with green tea"]
    assert tea["score"].iloc[0] == pytest.approx(20 / 28)
    assert milk["item_id"].tolist() == twice["item_id"].tolist() == ["green tea", "black tea"]
    assert soap.empty


def test_what_is_barred_is_never_an_answer(situations: Situations, purchases: Purchases) -> None:
    (found,) = situations.beside_basket([["milk"]], 5, nothing(purchases, "green tea"), purchases.items)
    assert found["item_id"].tolist() == ["black tea"]


def test_answers_are_the_same_from_files(situations: Situations, purchases: Purchases, tmp_path: Path) -> None:
    situations.save(tmp_path / "situations")
    again = Situations(PARAMS).load(tmp_path / "situations")
    again.save(tmp_path / "again")
    for file in (tmp_path / "situations").iterdir():
        assert file.read_bytes() == (tmp_path / "again" / file.name).read_bytes()
    for name, asked in (("similar", [["milk"], ["soap"]]), ("beside_basket", [["milk", "soap"]])):
        before, after = (
            getattr(one, name)(asked, 5, nothing(purchases), purchases.items) for one in (situations, again)
        )
        for first, second in zip(before, after, strict=True):
            pd.testing.assert_frame_equal(first, second)


def test_a_visit_goes_on_as_visits_that_began_like_it(purchases: Purchases, tmp_path: Path) -> None:
    """Whoever looks at green tea and then soap opens the milk; whoever looks at black tea and then soap does not."""
    paths = [("green tea", "soap", "milk"), ("black tea", "soap", "white tea")]
    events = pd.DataFrame(
        [
            {
                "session_id": f"s{number:04d}",
                "item_id": item,
                "event_type": "view",
                "event_timestamp": AT - timedelta(minutes=3 * (2000 - number) - place),
            }
            for number in range(1200)
            for place, item in enumerate(paths[number % 2])
        ]
    )
    situations = Situations(PARAMS).fit(purchases, CandidateFinder(PARAMS).fit(purchases), events)
    visits = [["green tea", "soap"], ["black tea", "soap"], ["?", "green tea", "soap"]]
    lists = situations.in_visit(visits, 2, nothing(purchases), purchases.items)
    assert [found["item_id"].iloc[0] for found in lists] == ["milk", "white tea", "milk"]
    assert all(not set(found["item_id"]) & set(visit) for found, visit in zip(lists, visits, strict=True))
    (barred,) = situations.in_visit(visits[:1], 2, nothing(purchases, "milk"), purchases.items)
    assert "milk" not in set(barred["item_id"])
    situations.save(tmp_path / "situations")
    again = Situations(PARAMS).load(tmp_path / "situations").in_visit(visits, 2, nothing(purchases), purchases.items)
    for first, second in zip(lists, again, strict=True):
        pd.testing.assert_frame_equal(first, second)
