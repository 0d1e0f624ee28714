"""The user's own tables in CSV, Parquet and JSON: how values arrive, and what each fault is answered with."""

import gzip
from pathlib import Path

import pandas as pd
import pytest

from ecomine.errors import EcomineError, SettingsError, SourceError
from ecomine.layout import LANDING
from ecomine.tables import MALFORMED, TABLES
from tests.sources.reading import read_sql, write, write_parquet

ORDERS = """Order,sku,qty,price,when,cust,shop
1,007,1,2.5,2024-01-01 10:00,u1,A
2,008,two,3,2024-01-02 11:30:00+02,u2,A
3,009,,4,,,B
4,010,4,5,2024-01-03,u3,B
5,011,5,6,soon,u3,B
"""
COLUMNS = 'cust AS user_id, sku AS item_id, "when" AS event_timestamp, qty AS quantity, price AS unit_price'
SELECT = f'SELECT "Order" AS order_id, {COLUMNS} FROM '


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    write(tmp_path / "raw", "orders.csv", ORDERS)
    write(tmp_path / "raw", "header.csv", "a,b\n")
    write(tmp_path / "raw", "empty.csv", "")
    write(tmp_path / "raw", "latin.csv", "user,town\nu1,K\xf6ln\n".encode("latin-1"))
    write(tmp_path / "raw", "broken.json", '{"a": 1, "b"')
    whole = write_parquet(tmp_path / "raw" / "users.parquet", "SELECT 1 AS user_id, 'north' AS region FROM range(9999)")
    write(tmp_path / "raw", "cut.parquet", whole.read_bytes()[:200])
    return tmp_path


def test_values_become_their_types_and_bad_ones_are_kept_as_text(raw: Path) -> None:
    lines = read_sql(raw, {"order_lines": SELECT + "'orders.csv' ORDER BY 1"})["order_lines"]
    assert list(lines.columns) == [*TABLES["order_lines"].names, MALFORMED]
    assert lines["order_id"].tolist() == ["1", "2", "3", "4", "5"]
    assert lines["item_id"].tolist() == ["007", "008", "009", "010", "011"]
    assert lines["quantity"].fillna(-1).tolist() == [1, -1, -1, 4, 5]
    assert lines["event_timestamp"].astype(str).tolist() == [
        "2024-01-01 10:00:00",
        "2024-01-02 09:30:00",
        "NaT",
        "2024-01-03 00:00:00",
        "NaT",
    ]
    malformed = lines[MALFORMED].where(lines[MALFORMED].notna(), None).tolist()
    assert malformed == [None, "quantity='two'", None, None, "event_timestamp='soon'"]
    assert lines["location_id"].isna().all()
    assert not (raw / LANDING).exists()


def test_a_bad_value_after_many_good_ones_costs_its_row_only(tmp_path: Path) -> None:
    body = "".join(f"{number},u,i,1,2.5,2024-01-01\n" for number in range(50_000))
    write(
        tmp_path / "raw",
        "orders.csv",
        "order_id,user_id,item_id,quantity,unit_price,event_timestamp\n" + body + "x,u,i,bad,2.5,2024-01-01\n",
    )
    lines = read_sql(tmp_path, {"order_lines": "SELECT * FROM 'orders.csv'"})["order_lines"]
    assert len(lines) == 50_001
    assert lines[MALFORMED].dropna().tolist() == ["quantity='bad'"]


def test_files_of_all_kinds_and_in_folders(raw: Path) -> None:
    folder = raw / "raw"
    write(folder, "more/part-1.csv", ORDERS)
    write(folder, "more/part-2.csv", ORDERS)
    write(folder, "zipped.csv.gz", gzip.compress(ORDERS.encode()))
    write(folder, "users.jsonl", '{"id": "a", "ok": true}\n{"id": "b", "ok": "no"}\n{"id": 3}\n')
    tables = {
        "order_lines": SELECT + "'more/part-*.csv'",
        "users": "SELECT id AS user_id, ok AS marketing_consent FROM 'users.jsonl' ORDER BY 1",
        "items": "SELECT sku AS item_id FROM 'zipped.csv.gz' AS z WHERE sku IN (SELECT sku FROM 'orders.csv')",
    }
    given = read_sql(raw, tables)
    assert list(given) == ["order_lines", "items", "users"]
    assert len(given["order_lines"]) == 10
    assert len(given["items"]) == 5
    assert sorted(given["users"]["user_id"]) == ["3", "a", "b"]
    assert set(given["users"]["marketing_consent"].dropna()) == {True, False}
    assert given["users"][MALFORMED].isna().all()
    assert len(read_sql(raw, tables, raw=str(folder))["items"]) == 5


@pytest.mark.parametrize(
    ("table", "column", "expression", "expected", "malformed"),
    [
        ("users", "user_id", "CAST(13085 AS DOUBLE)", "13085", None),
        ("users", "user_id", "CAST('nan' AS DOUBLE)", None, None),
        ("users", "user_id", "1.5::DOUBLE", "1.5", None),
        ("users", "user_id", "13085.00::DECIMAL(18,2)", "13085", None),
        ("users", "user_id", "'  a '", "a", None),
        ("users", "user_id", "''", None, None),
        ("users", "marketing_consent", "'Yes'", True, None),
        ("users", "marketing_consent", "0", False, None),
        ("users", "marketing_consent", "'maybe'", None, "marketing_consent='maybe'"),
        ("users", "signup_date", "TIMESTAMPTZ '2024-06-01 12:00:00+02'", pd.Timestamp("2024-06-01 10:00"), None),
        ("users", "signup_date", "DATE '2024-06-01'", pd.Timestamp("2024-06-01"), None),
        ("users", "signup_date", "'2024-06-01T12:00:00Z'", pd.Timestamp("2024-06-01 12:00"), None),
        ("users", "signup_date", "'2024-13-41'", None, "signup_date='2024-13-41'"),
        ("users", "signup_date", "20240601", None, "signup_date='20240601'"),
        ("items", "unit_cost", "' 1e3 '", 1000.0, None),
        ("items", "unit_cost", "'N/A'", None, None),
        ("items", "unit_cost", "'1,50'", None, "unit_cost='1,50'"),
        ("items", "unit_cost", "CAST('inf' AS DOUBLE)", None, "unit_cost='inf'"),
        ("items", "unit_cost", "2.50::DECIMAL(9,2)", 2.5, None),
        ("events", "position", "'3.7'", None, "position='3.7'"),
        ("events", "position", "3.0::DOUBLE", 3, None),
        ("events", "position", "1" + 30 * "0", None, f"position='1{30 * '0'}'"),
    ],
)  # fmt: skip
def test_single_values(
    tmp_path: Path, table: str, column: str, expression: str, expected: object, malformed: str | None
) -> None:
    """One value beside two nulls and two good ones, so that the column as a whole stays acceptable."""
    (tmp_path / "raw").mkdir()
    required = {"event_timestamp": "now()", "unit_cost": "1"}
    others = [f"{required.get(name, repr(name))} AS {name}" for name in TABLES[table].required if name != column]
    good = {"signup_date": "'2024-01-01'", "unit_cost": "'1'", "position": "'1'", "marketing_consent": "'1'"}
    inner = f"SELECT 1 AS row, {expression} AS v UNION ALL SELECT 2, NULL"
    if malformed:
        sound = good.get(column, "NULL")
        inner = f"SELECT 1 AS row, CAST({expression} AS VARCHAR) AS v UNION ALL VALUES (2, {sound}), (3, {sound})"
    select = f"SELECT {', '.join([f'v AS {column}', *others])} FROM ({inner}) ORDER BY row"
    row = read_sql(tmp_path, {table: select})[table].iloc[0]
    assert (None if pd.isna(row[column]) else row[column]) == expected
    assert (None if pd.isna(row[MALFORMED]) else row[MALFORMED]) == malformed


FAULTS = {
    "missing column": (
        {"order_lines": f"SELECT {COLUMNS} FROM 'orders.csv'"},
        ["sql.tables.order_lines: SELECT cust", "the required column order_id is missing", "Columns there: user_id"],
    ),
    "unknown column": (
        {"order_lines": SELECT.replace("qty AS quantity", "1 AS quantity, qty AS Coupon") + "'orders.csv'"},
        ["knows no column Coupon", '`"Coupon" AS coupon_id`', "Known: order_id"],
    ),
    "other case": (
        {"order_lines": SELECT.replace("AS quantity", "AS Quantity") + "'orders.csv'"},
        ["quantity is missing", 'Did you mean `"Quantity" AS quantity`'],
    ),
    "unknown table": ({"orderlines": SELECT + "'orders.csv'"}, ["orderlines", "Did you mean `order_lines`", "events"]),
    "wrong type": (
        {"order_lines": SELECT.replace("qty AS", "shop AS") + "'orders.csv'"},
        ["5 of 5 values of quantity (VARCHAR) are no number", "'A', 'B'", "Write it as a number"],
    ),
    "time as number": (
        {"order_lines": SELECT.replace('"when" AS', '"Order" AS') + "'orders.csv'"},
        ["values of event_timestamp (BIGINT) are no time", "to_timestamp"],
    ),
    "missing file": ({"order_lines": SELECT + "'order.csv'"}, ["order.csv", "Files in raw: broken.json", "orders.csv"]),
    "empty file": ({"order_lines": SELECT + "'empty.csv'"}, ["empty.csv is empty (0 bytes)", "orders.csv"]),
    "truncated Parquet": ({"users": "SELECT * FROM 'cut.parquet'"}, ["cut.parquet", "Files in raw"]),
    "truncated JSON": ({"users": "SELECT a AS user_id FROM 'broken.json'"}, ["broken.json", "Files in raw"]),
    "not UTF-8": ({"users": "SELECT user AS user_id FROM 'latin.csv'"}, ["encoding = 'latin-1'", "Files in raw"]),
    "no rows in the file": ({"users": "SELECT a AS user_id FROM 'header.csv'"}, ["no rows came", "user_id"]),
    "no rows left": ({"order_lines": SELECT + "'orders.csv' WHERE qty = 'x'"}, ["no rows came"]),
    "syntax": ({"users": "SELECT FROM WHERE"}, ["sql.tables.users", "syntax error", "Files in raw"]),
    "column not in the file": (
        {"users": "SELECT customer AS user_id FROM 'orders.csv'"},
        ['"customer" not found', "Columns of orders.csv: Order, sku, qty"],
    ),
    "text in arithmetic": (
        {"users": "SELECT qty * 2 AS user_id FROM 'orders.csv'"},
        ["TRY_CAST", "Columns of orders.csv"],
    ),
    "bad value in arithmetic": (
        {"users": "SELECT CAST(qty AS INTEGER) AS user_id FROM 'orders.csv'"},
        ["Could not convert string 'two'", "Files in raw"],
    ),
    "not a SELECT": ({"users": "DROP TABLE users"}, ["sql.tables.users: DROP TABLE users", "expected one SELECT"]),
    "two statements": ({"users": "SELECT 1 AS user_id; SELECT 2"}, ["expected one SELECT, 2 statements came"]),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_names_the_mapping_and_what_is_there(raw: Path, fault: str) -> None:
    tables, texts = FAULTS[fault]
    with pytest.raises(SourceError) as caught:
        read_sql(raw, tables)
    message = str(caught.value)
    assert message.startswith("params.yaml: sql.tables.")
    assert [text for text in texts if text not in message] == [], message
    assert str(raw) not in message
    assert not (raw / LANDING).exists()


def test_no_mapping_and_no_folder(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="maps nothing"):
        read_sql(tmp_path, {})
    with pytest.raises(EcomineError, match="the folder raw is not there"):
        read_sql(tmp_path, {"users": "SELECT 1 AS user_id"})
