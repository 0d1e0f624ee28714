"""Products without a history reach those who buy their kind."""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecomine.recommendation.purchases import Purchases
from ecomine.recommendation.retrievers import NewItems, PersonalRepeat

AT = datetime(2024, 5, 30)


@pytest.fixture(scope="module")
def purchases() -> Purchases:
    lines = pd.DataFrame(
        {
            "user_id": ["tea", "tea", "milk", "both", "both"],
            "item_id": ["t1", "t2", "m1", "t1", "m1"],
            "order_id": ["1", "2", "3", "4", "5"],
            "event_timestamp": AT - timedelta(days=3),
        }
    )
    items = pd.DataFrame(
        [
            ("t1", "drinks > tea", "leaf", 400),
            ("t2", "drinks > tea", "leaf", 300),
            ("m1", "dairy > milk", "cow", 300),
            ("n1", "drinks > tea", "leaf", 5),
            ("n2", "drinks > coffee", "bean", 6),
            ("n3", "dairy > milk", "o'cow", 7),
            ("old", "drinks > tea", "leaf", 90),
            ("soon", "drinks > tea", "leaf", -3),
            ("bare", None, None, 2),
        ],
        columns=["item_id", "category", "brand", "age"],
    )
    items["launch_date"] = AT - pd.to_timedelta(items.pop("age"), unit="D")
    return Purchases.of(lines, AT, items)


@pytest.fixture(scope="module")
def new(purchases: Purchases) -> NewItems:
    return NewItems(PersonalRepeat().fit(purchases), days=30).fit(purchases)


def test_launched_products_have_codes_and_later_ones_do_not(purchases: Purchases) -> None:
    assert purchases.items.tolist() == ["bare", "m1", "n1", "n2", "n3", "old", "t1", "t2"]
    assert len(purchases.query("SELECT * FROM lines")["user"]) == 5


def test_new_products_go_to_those_who_buy_their_kind(new: NewItems, purchases: Purchases) -> None:
    user, item = new.candidates(np.arange(len(purchases.users)), 2)
    found = pd.Series(purchases.items[item]).groupby(purchases.users[user]).apply(list)
    assert found["tea"] == ["n1", "n2"]
    assert found["milk"] == ["n3"]
    assert set(found["both"]) == {"n1", "n3"}
    # Somebody who buys tea of that brand alone is exactly what the new tea is.
    tea = int(np.flatnonzero(purchases.users == "tea")[0])
    assert new.score(np.array([tea]), np.flatnonzero(purchases.items == "n1")) == pytest.approx(1.0)


def test_it_is_the_same_from_its_file(new: NewItems, purchases: Purchases, tmp_path: Path) -> None:
    new.save(tmp_path / "new.parquet")
    again = NewItems(new.personal).load(tmp_path / "new.parquet", len(purchases.users), len(purchases.items))
    users = np.array([0, 1, 2, -1])
    assert (again.scores(users) != new.scores(users)).nnz == 0


def test_without_launch_dates_there_is_nothing_new(purchases: Purchases) -> None:
    lines = pd.DataFrame({"user_id": ["u"], "item_id": ["t1"], "order_id": ["1"], "event_timestamp": [AT]})
    bare = Purchases.of(lines, AT, pd.DataFrame({"item_id": ["t1"], "category": ["drinks"]}))
    assert NewItems(PersonalRepeat().fit(bare)).fit(bare).scores(np.array([0])).nnz == 0
