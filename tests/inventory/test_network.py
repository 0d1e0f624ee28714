"""Allocation of what is short, and transfers."""

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from ecomine.inventory import allocate, transfers
from ecomine.inventory.law import DemandLaw


def places(rows: list[tuple]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["item_id", "location_id", "position", "mean", "sd", "wanted"])
    return frame.astype({"position": float, "mean": float, "sd": float, "wanted": float})


def test_what_suffices_is_sent_and_what_is_short_is_shared_by_fractile() -> None:
    rows = places([("a", "n", 5, 20, 4, 30), ("a", "s", 5, 20, 12, 40), ("b", "n", 0, 9, 3, 7)])
    full = allocate(rows, pd.Series({"a": 100, "b": 50}))
    assert full.tolist() == [30, 40, 7]
    short = allocate(rows, pd.Series({"a": 46}))
    z = (5 + short[:2] - 20) / np.array([4, 12])
    assert short.sum() == 46 and short[2] == 0 and abs(z[0] - z[1]) < 0.26
    poor = allocate(rows, pd.Series({"a": 3, "b": 0}))
    assert poor.tolist() == [3, 0, 0]  # -3.75 standard deviations there, -1.25 at the other place


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from("ab"), st.integers(0, 20), st.floats(0, 30), st.floats(0, 9), st.integers(0, 25)
        ),
        min_size=1, max_size=8,
    ),
    st.integers(0, 60),
    st.integers(0, 60),
)  # fmt: skip
def test_allocation_gives_no_more_than_there_is_or_is_wanted(rows: list[tuple], first: int, second: int) -> None:
    frame = places([(item, f"p{at}", *rest) for at, (item, *rest) in enumerate(rows)])
    there = pd.Series({"a": first, "b": second})
    units = allocate(frame, there)
    assert (units == np.round(units)).all() and (units >= 0).all() and (units <= frame["wanted"]).all()
    sent = pd.Series(units).groupby(frame["item_id"]).sum()
    asked = frame.groupby("item_id")["wanted"].sum()
    assert (sent == np.minimum(asked, there.reindex(asked.index))).all()
    assert np.array_equal(units, allocate(frame.iloc[::-1], there)[::-1])


def stocked(rows: list[tuple]) -> pd.DataFrame:
    columns = ["item_id", "location_id", "on_hand", "mean", "sd", "lost"]
    return pd.DataFrame(rows, columns=columns).assign(position=lambda frame: frame["on_hand"].astype(float))


def test_units_move_from_plenty_to_want() -> None:
    frame = stocked([("a", "n", 40, 10.0, 4.0, 3.0), ("a", "s", 0, 10.0, 4.0, 3.0), ("b", "n", 9, 8.0, 3.0, 3.0)])
    moves = transfers(frame, cost=0.2)
    assert moves[["item_id", "from_location", "to_location", "units"]].values.tolist() == [["a", "n", "s", 20.0]]
    law = DemandLaw.of(10.0, 4.0)
    saved = law.loss(0.0) - law.loss(20.0) - (law.loss(20.0) - law.loss(40.0))
    assert np.isclose(moves["gain"][0], 3 * saved[0] - 0.2 * 20)
    assert transfers(frame, cost=2.5).empty


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from("ab"), st.integers(0, 40), st.floats(0.5, 20), st.floats(1, 8), st.floats(0.5, 6)
        ),
        min_size=1, max_size=8,
    ),
    st.floats(0, 1),
)  # fmt: skip
def test_transfers_take_only_what_is_there_and_pay(rows: list[tuple], cost: float) -> None:
    frame = stocked([(item, f"p{at}", *rest) for at, (item, *rest) in enumerate(rows)])
    moves = transfers(frame, cost)
    out = moves.groupby(["item_id", "from_location"])["units"].sum()
    on_hand = frame.set_index(["item_id", "location_id"])["on_hand"]
    assert (out <= on_hand.reindex(out.index)).all() and (moves["gain"] > 0).all()
    assert (moves["from_location"] != moves["to_location"]).all() and (moves["units"] == moves["units"].round()).all()
