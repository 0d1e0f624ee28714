import duckdb
import pandas as pd
import pytest

from ecomine.profiling import analysis


def events(*rows: tuple[str, str, str, str | None]) -> duckdb.DuckDBPyRelation:
    """(session, device, event type, query), a minute apart."""
    frame = pd.DataFrame(rows, columns=["session_id", "device", "event_type", "query"])
    frame["event_id"] = [f"e{number:03d}" for number in range(len(frame))]
    frame["user_id"] = frame["session_id"].str[0]
    frame["event_timestamp"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(range(len(frame)), unit="min")
    return duckdb.connect().from_df(frame)


SEEN = events(
    ("a1", "app", "search", "Tea "),
    ("a1", "app", "view", None),
    ("a1", "app", "cart", None),
    ("a1", "app", "purchase", None),
    ("b1", "app", "search", "tea"),
    ("b1", "app", "search", "salt"),
    ("b1", "app", "view", None),
    ("c1", "web", "cart", None),
    ("c1", "web", "view", None),
)


def lines(*rows: tuple[str, str, str, str, float]) -> duckdb.DuckDBPyRelation:
    """(order, user, item, day, price)."""
    frame = pd.DataFrame(rows, columns=["order_id", "user_id", "item_id", "event_timestamp", "unit_price"])
    frame["event_timestamp"] = pd.to_datetime(frame["event_timestamp"])
    return duckdb.connect().from_df(frame.assign(quantity=1.0, list_price=10.0, category=frame["item_id"]))


def test_a_funnel_counts_steps_in_their_order() -> None:
    table = analysis.funnel(SEEN).set_index(["group", "value", "step"])["sessions"]
    assert table["all", "all"].tolist() == [3, 3, 1, 1]
    assert table["device", "app"].tolist() == [2, 2, 1, 1]
    assert table["device", "web"].tolist() == [1, 1, 0, 0]
    told = analysis.funnel(SEEN).query("value == 'all' and step == 'cart'").iloc[0]
    assert (told["reached"], told["dropped"]) == pytest.approx((1 / 3, 2 / 3))


def test_searches_that_lead_nowhere_are_told() -> None:
    table = analysis.failed_searches(SEEN).set_index("query")
    assert table.loc["tea", ["searches", "failed"]].tolist() == [2, 1]
    assert table.loc["salt", "failed"] == 0


def test_paths_are_moves_from_kind_to_kind() -> None:
    table = analysis.paths(SEEN).set_index(["step", "next"])["times"]
    assert table["search", "view"] == 2
    assert table["view", "end"] == 2
    assert ("search", "search") not in table.index


def test_cohorts_and_repeat_purchase() -> None:
    shop = lines(
        ("1", "a", "x", "2024-01-03", 5),
        ("2", "a", "x", "2024-02-03", 5),
        ("3", "b", "x", "2024-01-09", 7),
        ("4", "b", "x", "2024-01-19", 7),
        ("5", "c", "x", "2024-02-01", 9),
    )
    table = analysis.retention(shop).set_index(["cohort", "month"])
    assert table.loc[("2024-01", 0), ["customers", "active", "money"]].tolist() == [2, 2, 19]
    assert table.loc[("2024-01", 1), "retained"] == 0.5
    again = analysis.repeat_purchase(shop).set_index("number")
    assert again.loc[1, "again"] == pytest.approx(2 / 3)
    assert again.loc[1, "days_until"] == pytest.approx((31 + 10) / 2)


def test_baskets_tell_what_goes_together() -> None:
    rows = []
    for number in range(40):
        rows.append((str(number), "a", "tea", "2024-01-01", 5.0))
        rows.append((str(number), "a", "milk" if number < 20 else "salt", "2024-01-01", 5.0))
        if 10 <= number < 30:
            rows.append((str(number), "a", "jam", "2024-01-01", 5.0))
    table = analysis.baskets(lines(*rows)).set_index(["category", "goes_with"])
    assert table.loc[("milk", "tea"), ["orders", "support", "lift"]].tolist() == [20, 0.5, 1]
    assert table.loc[("jam", "milk"), ["orders", "confidence", "lift"]].tolist() == [10, 0.5, 1]


def test_promotions_weekdays_and_discounts() -> None:
    shop = lines(
        ("1", "a", "x", "2024-01-01", 10),
        ("2", "a", "x", "2024-01-02", 8),
        ("3", "b", "x", "2024-01-02", 8),
        ("4", "b", "x", "2024-01-02", 8),
    )
    offers = duckdb.connect().from_df(
        pd.DataFrame(
            {"item_id": ["x"], "location_id": ["l"], "display": ["front"], "mailer": [""],
             "start_date": [pd.Timestamp("2024-01-02")], "end_date": [pd.Timestamp("2024-01-03")]}
        )
    )  # fmt: skip
    connection = duckdb.connect()
    shop, offers = (connection.from_df(relation.df()) for relation in (shop, offers))
    assert analysis.promotions(shop, offers)[["promotion", "item_days", "times_units"]].to_numpy().tolist() == [
        ["display", 1, pytest.approx(3.0)]
    ]
    days = analysis.weekdays(shop).set_index("weekday")
    assert days["money"].tolist() == [10, 24]
    assert days["times_usual"].tolist() == pytest.approx([10 / 17, 24 / 17])
    assert analysis.discounts(shop)[["discount_from", "lines"]].to_numpy().tolist() == [[0, 1], [0.2, 3]]
