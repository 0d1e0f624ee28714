"""The user's own tables in a database: a SQLite file, and a PostgreSQL server of the test's own."""

import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from ecomine.errors import SettingsError, SourceError, UnavailableError
from ecomine.sources import database
from ecomine.tables import MALFORMED
from tests.requirements import require, require_module
from tests.servers import free_port, postgres_server
from tests.shop import tiny_shop
from tests.sources.reading import read_sql

ORDER_LINES = "SELECT order_id, user_id, item_id, event_timestamp, quantity, unit_price FROM orders"


@pytest.fixture(scope="module")
def lines() -> pd.DataFrame:
    columns = ["order_id", "user_id", "item_id", "event_timestamp", "quantity", "unit_price"]
    return tiny_shop(users=20, days=60)["order_lines"][columns]


@pytest.fixture
def shop(tmp_path: Path, lines: pd.DataFrame) -> Path:
    """A workspace with shop.db: orders, and a table that has every kind of value in one column."""
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        lines.assign(event_timestamp=lines["event_timestamp"].astype(str)).to_sql("orders", connection, index=False)
        connection.execute("CREATE TABLE mixed (id, joined, cost)")
        values = [
            (1, None, 2.5),
            ("b", None, "x"),
            (2.0, None, 3),
            (None, None, b"\x01"),
            (2**70 // 2**8, None, None),
        ]
        connection.executemany("INSERT INTO mixed VALUES (?, ?, ?)", values)
    connection.close()
    return tmp_path


def same(given: pd.DataFrame, expected: pd.DataFrame) -> None:
    order = ["order_id", "item_id"]
    given = given[expected.columns].sort_values(order, ignore_index=True)
    expected = expected.sort_values(order, ignore_index=True)
    pd.testing.assert_frame_equal(given, expected, check_dtype=False)


@pytest.mark.parametrize("batch", [7, database.BATCH])
def test_sqlite_gives_the_rows_in_batches_of_any_size(
    shop: Path, lines: pd.DataFrame, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BATCH", max(batch, len(lines) // 20))
    given = read_sql(shop, {"order_lines": ORDER_LINES}, "sqlite:///shop.db")["order_lines"]
    same(given, lines)
    assert given[MALFORMED].isna().all()


def test_a_column_of_many_types(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BATCH", 2)
    select = "SELECT id AS item_id, cost AS unit_cost, joined AS launch_date FROM mixed"
    items = read_sql(shop, {"items": select}, "sqlite:///shop.db")["items"]
    assert len(items) == 5
    assert {"1", "b"} <= set(items["item_id"])
    assert items[MALFORMED].dropna().str.startswith("unit_cost=").all()
    assert items["launch_date"].isna().all()


@pytest.mark.parametrize(
    ("address", "select", "texts"),
    [
        (
            "sqlite:///shop.db",
            "SELECT x AS user_id FROM orders",
            ["no such column", "Tables there: mixed, orders"],
        ),
        (
            "sqlite:///shop.db",
            "SELECT user_id FROM customers",
            ["no such table", "Tables there: mixed, orders"],
        ),
        (
            "sqlite:///shop.db",
            "SELECT user_id FROM orders WHERE 0",
            ["no rows came", "Columns there: user_id"],
        ),
        ("sqlite:///shop.db", "SELECT user_id, user_id FROM orders", ["two columns have one name"]),
        ("sqlite:///shop.db", "SELECT user_id, quantity AS region2 FROM orders", ['`"region2" AS region`']),
        ("sqlite:///shop.db", "DELETE FROM orders", ["expected one SELECT"]),
        ("sqlite:///shop.db", "WITH a AS (SELECT 1) DELETE FROM orders", ["refused"]),
        ("sqlite:///other.db", "SELECT 1 AS user_id", ["there is no file", "other.db"]),
        ("sqlite:////", "SELECT 1 AS user_id", ["there is no file"]),
        ("oracle://host/x", "SELECT 1 AS user_id", ["is not installed"]),
        ("nonsense://host/x", "SELECT 1 AS user_id", ["is not installed", "Known: postgresql"]),
    ],
)
def test_a_fault_is_told(shop: Path, address: str, select: str, texts: list[str]) -> None:
    before = (shop / "shop.db").read_bytes()
    with pytest.raises(SourceError) as caught:
        read_sql(shop, {"users": select}, address)
    message = str(caught.value)
    assert message.startswith("params.yaml: sql.")
    assert [text for text in texts if text not in message] == [], message
    assert (shop / "shop.db").read_bytes() == before
    assert not (shop / "other.db").exists()


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "shop.db").write_text("not a database " * 100)
    with pytest.raises(SourceError, match="file is not a database"):
        read_sql(tmp_path, {"users": "SELECT 1 AS user_id FROM x"}, "sqlite:///shop.db")


def test_an_address_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="no database URL"):
        read_sql(tmp_path, {"users": "SELECT 1 AS user_id"}, "shop.db")
    monkeypatch.delenv("ECOMINE_TEST_PASSWORD", raising=False)
    address = "postgresql://me:${ECOMINE_TEST_PASSWORD}@localhost/x"
    with pytest.raises(SettingsError, match="ECOMINE_TEST_PASSWORD, which is not set"):
        read_sql(tmp_path, {"users": "SELECT 1 AS user_id"}, address)


@pytest.mark.parametrize(
    ("driver", "scheme", "extra"), [("psycopg", "postgresql", "postgres"), ("pymysql", "mysql", "mysql")]
)
def test_a_missing_driver_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, driver: str, scheme: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, driver, None)  # what makes Python say that there is no such module
    with pytest.raises(SourceError, match=rf"pip install 'ecomine\[{extra}\]'"):
        read_sql(tmp_path, {"users": "SELECT 1 AS user_id"}, f"{scheme}://me:secret@localhost/x")


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """The address of a PostgreSQL server that lives as long as these tests."""
    binaries = require("initdb", "postgresql").parent
    require_module("psycopg", "ecomine[postgres]")
    with postgres_server(binaries) as address:
        yield address


def test_postgresql_gives_its_rows_and_types(
    postgres: str, tmp_path: Path, lines: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BATCH", 100)
    engine = database.engine(postgres, tmp_path)
    lines.to_sql("orders", engine, index=False, if_exists="replace")
    engine.dispose()
    select = """SELECT order_id, user_id, item_id, event_timestamp AT TIME ZONE 'Europe/Berlin' AS event_timestamp,
        quantity::numeric(12,2), unit_price::numeric AS unit_price FROM orders WHERE order_id NOT LIKE '%:x%'"""
    given = read_sql(tmp_path, {"order_lines": select}, postgres)["order_lines"]
    local = lines["event_timestamp"].dt.tz_localize("Europe/Berlin").dt.tz_convert("UTC").dt.tz_localize(None)
    same(given, lines.assign(event_timestamp=local))
    assert given[MALFORMED].isna().all()
    values = """SELECT 10::numeric(12,0) AS item_id, '{"a": 1}'::jsonb AS title, 1.5::numeric AS unit_cost,
        DATE '2024-01-02' AS launch_date UNION ALL SELECT 12345678901234567890123, NULL, NULL, NULL ORDER BY 1"""
    items = read_sql(tmp_path, {"items": values}, postgres)["items"]
    assert items["item_id"].tolist() == ["10", "12345678901234567890123"]
    assert items["launch_date"][0] == pd.Timestamp("2024-01-02")


def test_postgresql_faults_are_told_without_the_password(postgres: str, tmp_path: Path) -> None:
    silent = postgres.replace(postgres.rsplit(":", 1)[1].split("/")[0], str(free_port()))
    for address, select, text in (
        (postgres.replace("/shop:", "/nobody:"), "SELECT 1 AS user_id", "does not answer"),
        (postgres, "SELECT x FROM nowhere", "nowhere"),
        (postgres, "SELEC", "expected one SELECT"),
        (postgres, "SELECT 1 / 0 AS user_id", "division by zero"),
        (postgres, "WITH a AS (CREATE TABLE b ()) SELECT 1", "syntax error"),
        (postgres, "SELECT setval('s', 1) FROM (SELECT nextval('s')) AS x", "refused"),
        (silent, "SELECT 1 AS user_id", "does not answer"),
    ):
        with pytest.raises(UnavailableError if address == silent else SourceError, match=text) as caught:
            read_sql(tmp_path, {"users": select}, address)
        assert "secret" not in str(caught.value)
