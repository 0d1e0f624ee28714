"""Tables as series, alerts, and policies replayed on history."""

from datetime import datetime

import duckdb
import numpy as np
import pandas as pd
import pytest

from ecomine.errors import NotEnoughDataError
from ecomine.inventory import InventoryParams, ReplenishmentPolicy
from ecomine.inventory.alerts import ALERTS, DEAD, RUNNING_OUT, STOCK_OUT, alerts, running_out
from ecomine.inventory.history import daily_sales, stock_now
from ecomine.inventory.replay import replay, values


@pytest.fixture
def tables() -> dict[str, duckdb.DuckDBPyRelation]:
    connection = duckdb.connect()
    lines = pd.DataFrame(
        [
            ("a", "n", "2024-01-02 10:00", 2.0, 5.0),
            ("a", "n", "2024-01-02 12:00", 1.0, 4.0),
            ("a", "n", "2024-01-05 00:00", 4.0, 4.0),
            ("a", "n", "2024-01-06 09:00", 9.0, 4.0),
            ("b", None, "2024-01-04 23:00", 1.0, 2.0),
        ],
        columns=["item_id", "location_id", "event_timestamp", "quantity", "unit_price"],
    ).assign(event_timestamp=lambda frame: pd.to_datetime(frame["event_timestamp"]))
    stock = pd.DataFrame(
        [("a", "n", "2024-01-02 20:00", 7.0, 0.0, 3.0), ("a", "n", "2024-01-04 20:00", 0.0, 6.0, 4.0)],
        columns=["item_id", "location_id", "event_timestamp", "on_hand", "on_order", "lead_time_days"],
    ).assign(event_timestamp=lambda frame: pd.to_datetime(frame["event_timestamp"]))
    items = pd.DataFrame({"item_id": ["a"], "category": ["tea"]})
    frames = {"order_lines": lines, "stock": stock, "items": items}
    return {name: connection.from_df(frame) for name, frame in frames.items()}


def test_tables_become_whole_days(tables: dict[str, duckdb.DuckDBPyRelation]) -> None:
    rows = daily_sales(tables, datetime(2024, 1, 5), 4)
    first = rows[rows["item_id"] == "a"]
    assert first["date"].dt.strftime("%d").tolist() == ["02", "03", "04"]
    # Midnight ends the day before: the label of a cutoff begins after it.
    assert first["quantity"].tolist() == [3, 0, 4] and first["stock"].tolist() == [7, 7, 0]
    assert first["price"].tolist() == pytest.approx([14 / 3, 14 / 3, 4])
    assert rows[["item_id", "location_id", "category"]].drop_duplicates().values.tolist() == [
        ["a", "n", "tea"],
        ["b", "all", "unknown"],
    ]
    assert "stock" not in daily_sales({"order_lines": tables["order_lines"]}, datetime(2024, 1, 5), 4)
    now = stock_now(tables, datetime(2024, 1, 5))
    assert now is not None and now.values.tolist() == [["a", "n", 0, 6, 4]]
    assert stock_now({}, datetime(2024, 1, 5)) is None
    with pytest.raises(NotEnoughDataError, match="Nothing was sold"):
        daily_sales(tables, datetime(2023, 1, 5), 4)


def sales(days: int = 130, series: int = 14, seed: int = 1) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    rate = random.gamma(1.2, 3, series) + 0.1
    dates = pd.date_range("2023-03-01", periods=days)
    return pd.DataFrame(
        {
            "item_id": np.repeat([f"i{number:02d}" for number in range(series)], days), "location_id": "n",
            "date": np.tile(dates, series), "quantity": random.poisson(rate[:, None], (series, days)).ravel() * 1.0,
            "price": 8.0,
        }
    )  # fmt: skip


def test_a_policy_is_replayed_beside_the_plain_rule() -> None:
    rows = sales()
    before = rows.copy()
    told = replay(rows, InventoryParams(lead_sd=0.5), days=28, warm_up=14)
    pd.testing.assert_frame_equal(rows, before)
    late = rows[rows["date"] > rows["date"].max() - pd.Timedelta(days=28)]
    assert told["model"].series["demand"].sum() == late["quantity"].sum()
    assert told["model"].days == 28 and told["model"].fill_rate > 0.95
    assert told["model"].cost < 0.9 * told["moving_average"].cost
    money = values(told, rows[["item_id", "location_id"]].drop_duplicates(), 3.0)
    assert money["model"].sum() > money["moving_average"].sum()
    again = replay(rows.sample(frac=1, random_state=3), InventoryParams(lead_sd=0.5), days=28, warm_up=14)
    pd.testing.assert_frame_equal(told["model"].series, again["model"].series)
    with pytest.raises(NotEnoughDataError, match="days of history"):
        replay(rows[rows["date"] > "2023-05-20"])


def test_alerts_tell_what_runs_out_and_what_lies() -> None:
    rows = sales(90, 3)
    stock = pd.DataFrame(
        {
            "item_id": ["i00", "i01", "i02"], "location_id": "n", "on_hand": [1.0, 5000.0, 60.0], "on_order": 0.0,
            "lead_days": 7.0, "price": 8.0, "unit_cost": 5.0,
        }
    )  # fmt: skip
    decided = ReplenishmentPolicy().fit(rows).decide(stock)
    told = alerts(decided, stock)
    assert tuple(told.columns) == ALERTS
    assert told[["item_id", "alert"]].values.tolist() == [["i01", DEAD], ["i00", STOCK_OUT]]
    assert told["money"][0] == pytest.approx(5 * (5000 - decided["order_up_to"][1]))
    assert told["money"][1] == pytest.approx(3 * (decided["mean"][0] - 1))
    gone = running_out(decided, stock)
    assert tuple(gone.columns) == RUNNING_OUT and gone["item_id"].tolist() == ["i00"]
    assert running_out(decided, stock, days=0.0).empty and tuple(alerts(decided.iloc[:0], stock).columns) == ALERTS
