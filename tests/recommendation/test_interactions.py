"""Interactions in order, and what is held out of them."""

import numpy as np
import pandas as pd
import pytest

from ecomine.errors import FeatureError, SettingsError
from ecomine.recommendation.interactions import Interactions, hold_out

FRAME = pd.DataFrame(
    {
        "user_id": ["b", "a", "a", "a", "b"],
        "item_id": ["y", "x", "z", "x", "x"],
        "order_id": [1, 2, 2, 3, 1],
        "event_timestamp": pd.to_datetime(["2024-01-05", "2024-01-01", "2024-01-01", "2024-01-03", "2024-01-05"]),
    }
)


def test_baskets_are_counted_back_from_the_newest_and_days_from_the_end_of_all() -> None:
    data = Interactions.of(FRAME.sample(frac=1, random_state=0))
    assert [data.users[user] + data.items[item] for user, item in zip(data.user, data.item, strict=True)] == [
        *("ax", "az", "ax", "bx", "by")
    ]
    assert data.step.tolist() == [1, 1, 0, 0, 0] and data.day.tolist() == [4, 4, 2, 0, 0]
    assert data.matrix().toarray().tolist() == [[2, 0, 1], [1, 1, 0]]
    assert data.binary.toarray().tolist() == [[1, 0, 1], [1, 1, 0]]
    # An order number that two people share is two orders.
    shared = Interactions.of(FRAME.assign(order_id=1))
    assert shared.step.tolist() == [0] * 5


def test_without_an_order_nothing_is_older() -> None:
    data = Interactions.of(FRAME[["user_id", "item_id"]])
    assert not data.ordered and not data.step.any() and not data.day.any()
    placed = Interactions.of(FRAME[["user_id", "item_id"]].assign(position=[1, 1, 2, 3, 2]))
    assert placed.ordered and not placed.clock and placed.day.tolist() == [2, 1, 0, 1, 0]


def test_what_is_held_out_comes_after_what_is_left() -> None:
    data = Interactions.of(FRAME)
    known, future = hold_out(data, "last", 0, 1, 0.0)
    # b has one basket alone and keeps it.
    assert len(known) == 4 and future.items[future.item].tolist() == ["x"] and future.user.tolist() == [0]
    assert known.step.tolist() == [0, 0, 0, 0] and known.user.tolist() == [0, 0, 1, 1]
    known, future = hold_out(data, "time", 0, 1, 1.0)
    assert known.user.tolist() == [0, 0, 0] and future.user.tolist() == [1, 1]
    assert known.day.tolist() == [2, 2, 0]
    with pytest.raises(SettingsError, match="`holdout` is 'first'"):
        hold_out(data, "first", 0, 1, 1.0)


def test_random_pieces_of_two_folds_do_not_meet() -> None:
    user, item = np.divmod(np.arange(400), 20)
    data = Interactions.of(pd.DataFrame({"user_id": user, "item_id": item}))
    pieces = [hold_out(data, "random", fold, 3, 0.2) for fold in (0, 1)]
    out = [set((future.user * 20 + future.item).tolist()) for _, future in pieces]
    assert len(out[0]) == len(out[1]) == 80 and not out[0] & out[1]
    assert all(len(known) == 320 for known, _ in pieces)
    assert (np.bincount(pieces[0][1].user) == 4).all()


def test_rows_without_a_time_are_a_clear_error() -> None:
    with pytest.raises(FeatureError, match="1 interactions have no event_timestamp"):
        Interactions.of(FRAME.assign(event_timestamp=FRAME["event_timestamp"].where(FRAME.index > 0)))
