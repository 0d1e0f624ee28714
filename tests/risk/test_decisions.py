import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecomine.risk import Costs, decide_payments
from ecomine.risk.decisions import expected_costs, money, review_queue

COSTS = Costs(missed=1.0, fee=10.0, blocked=0.5, annoyance=0.0, review=2.0, caught=1.0)


def _payments(amount: list[float], days: list[int] | None = None) -> pd.DataFrame:
    time = pd.Timestamp("2024-01-01") + pd.to_timedelta(days or [0] * len(amount), unit="D")
    return pd.DataFrame({"payment_id": np.arange(len(amount)), "event_timestamp": time, "amount": amount})


def test_expected_costs_by_hand() -> None:
    found = expected_costs(np.array([0.1]), np.array([90.0]), COSTS).iloc[0]
    assert found.tolist() == pytest.approx([10.0, 2.0, 40.5])


def test_the_cheapest_action_is_taken_and_reviews_go_where_they_save_most() -> None:
    payments = _payments([90.0, 90.0, 900.0, 90.0])
    found = decide_payments(payments, np.array([0.001, 0.1, 0.1, 0.999]), COSTS, capacity=1)
    assert found["action"].tolist() == ["allow", "allow", "review", "block"]
    assert found["expected_loss"].tolist() == pytest.approx([0.1, 10.0, 2.0, 0.045])
    more = decide_payments(payments, np.array([0.001, 0.1, 0.1, 0.999]), COSTS, capacity=5)
    assert more["action"].tolist() == ["allow", "review", "review", "block"]
    assert review_queue(more)["payment_id"].tolist() == [2, 1]
    assert more["queue"].tolist() == [pd.NA, 2, 1, pd.NA]


def test_a_rule_brings_a_payment_before_the_analysts() -> None:
    payments = _payments([90.0, 900.0])
    found = decide_payments(payments, np.array([0.001, 0.1]), COSTS, 1, np.array([True, False]))
    assert found["action"].tolist() == ["review", "allow"]


def test_money_by_hand() -> None:
    fraud, amount = np.array([True, True, False, False]), np.array([100.0, 50.0, 20.0, 10.0])
    ways = {"nothing": np.array(["allow"] * 4), "mixed": np.array(["block", "review", "block", "review"])}
    found = money(ways, fraud, amount, COSTS).set_index("way")
    assert found.loc["nothing", ["missed", "total", "saved"]].tolist() == [170.0, 170.0, 0.0]
    assert found.loc["mixed", ["missed", "blocked", "reviews", "saved"]].tolist() == [0.0, 10.0, 4.0, 156.0]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1000), st.integers(0, 2), st.booleans()), min_size=1, max_size=20),
    st.integers(0, 4),
)
def test_capacity_holds_and_no_review_is_better_placed(rows: list[tuple], capacity: int) -> None:
    probability, amount, days, flagged = (list(column) for column in zip(*rows, strict=True))
    payments = _payments(amount, days)
    found = decide_payments(payments, np.array(probability), Costs(), capacity, np.array(flagged))
    reviewed = found[found["action"] == "review"]
    assert reviewed.groupby(reviewed["event_timestamp"]).size().max() <= capacity if len(reviewed) else True
    plain = decide_payments(payments, np.array(probability), Costs(), capacity)
    for _, day in plain.groupby("event_timestamp"):
        inside, outside = day[day["action"] == "review"], day[day["action"] != "review"]
        worth = outside[outside["saved_by_review"] > 0]
        assert not len(worth) or len(inside) == capacity
        if len(worth) and len(inside):
            assert inside["saved_by_review"].min() >= worth["saved_by_review"].max()
