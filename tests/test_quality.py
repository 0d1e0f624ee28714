"""Validation: what stops a run, what is only told, and that Data Docs tell nothing about a person."""

import json
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from ecomine import quality
from ecomine.engine import connect
from ecomine.errors import ExpectationError, SettingsError
from ecomine.params import EngineParams, Params, QualityParams
from ecomine.tables import TABLES
from tests.conftest import PROJECT
from tests.shop import tiny_shop
from tests.test_cleaning import AS_OF, SOUND, canonical, other, relation

SUITES = PROJECT / "expectations"
SHOP_END = datetime(2024, 5, 30)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with connect(EngineParams(), tmp_path / "spill") as connection:
        yield connection


@pytest.fixture
def suites(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SUITES, tmp_path / "expectations"))


def clean(connection: duckdb.DuckDBPyConnection, name: str, rows: Any) -> duckdb.DuckDBPyRelation:
    names = ", ".join(f'"{column}"' for column in TABLES[name].names)
    return relation(connection, name, canonical(name, rows)).select(names)


def shop(connection: duckdb.DuckDBPyConnection, **changes: Any) -> dict[str, duckdb.DuckDBPyRelation]:
    return {name: clean(connection, name, frame) for name, frame in (tiny_shop(users=20) | changes).items()}


def add(suites: Path, name: str, *expectations: dict[str, Any]) -> None:
    path = suites / f"{name}.json"
    document = json.loads(path.read_text())
    document["expectations"] += expectations
    path.write_text(json.dumps(document))


def test_every_table_has_a_suite_that_sound_rows_meet(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    assert {path.stem for path in SUITES.glob("*.json")} == set(TABLES)
    tables = {name: clean(connection, name, [SOUND[name], other(name)]) for name in TABLES}
    results = quality.validate(tables, SUITES, datetime(2024, 5, 2), Params(), tmp_path / "docs")
    failed = {line.split(":")[0] for line in quality.warnings(results)}
    # Two rows with only what is required: these columns are wanted, but not needed.
    assert failed == {"items.category", "payments.is_fraud", "credit.defaulted", "ad_impressions.treated"}
    quality.raise_on_critical(results, tmp_path / "docs")
    for name, table in TABLES.items():
        checked = [(one["type"], tuple(one["columns"])) for one in results["tables"][name]["expectations"]]
        for column in table.names:
            assert ("expect_column_type_to_be", (column,)) in checked
        for column in table.required:
            assert ("expect_column_values_to_not_be_null", (column,)) in checked
        unique = "expect_column_values_to_be_unique" if len(table.key) == 1 else "expect_compound_columns_to_be_unique"
        assert (unique, table.key) in checked


def test_the_tiny_shop_passes_twice_the_same_and_has_data_docs(
    connection: duckdb.DuckDBPyConnection,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    docs = tmp_path / "reports" / "validation"
    first, second = (quality.validate(shop(connection), SUITES, SHOP_END, Params(), docs) for _ in range(2))
    assert quality.warnings(first) == []
    quality.raise_on_critical(first, docs)
    assert json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)
    assert "order_lines" in (docs / "index.html").read_text()
    pages = {path.relative_to(docs / "validations").parts[0] for path in (docs / "validations").rglob("*.html")}
    assert pages == {"items", "order_lines", "promotions", "users"}
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []


def test_a_critical_failure_stops_and_says_where(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    lines = tiny_shop(users=20)["order_lines"]
    lines.loc[[3, 4], "quantity"] = -1.0
    results = quality.validate(shop(connection, order_lines=lines), SUITES, SHOP_END, Params(), tmp_path / "docs")
    share = f"{2 / len(lines):.2%}"
    with pytest.raises(ExpectationError) as caught:
        quality.raise_on_critical(results, tmp_path / "docs")
    text = str(caught.value)
    assert "order_lines.quantity: expect_column_values_to_be_between (min_value 0.0, strict_min True)" in text
    assert f"{share} of rows are unexpected" in text
    assert str(tmp_path / "docs" / "index.html") in text
    assert (tmp_path / "docs" / "index.html").is_file()
    assert quality.warnings(results) == []


@pytest.mark.parametrize(
    ("name", "rows", "told"),
    [
        ("items", [SOUND["items"], SOUND["items"]], "items.item_id: expect_column_values_to_be_unique"),
        (
            "promotions",
            [SOUND["promotions"]] * 2,
            "promotions.item_id + location_id + start_date: expect_compound",
        ),
        (
            "events",
            [SOUND["events"] | {"event_type": "dance"}],
            "events.event_type: expect_column_values_to_be_in_set",
        ),
        (
            "stock",
            [SOUND["stock"] | {"event_timestamp": pd.Timestamp("2099-01-01")}],
            "stock.event_timestamp",
        ),
        ("users", [], "users: expect_table_row_count_to_be_between"),
    ],
)
def test_what_is_critical(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path, name: str, rows: list[dict[str, Any]], told: str
) -> None:
    results = quality.validate({name: clean(connection, name, rows)}, SUITES, AS_OF, Params(), tmp_path / "docs")
    with pytest.raises(ExpectationError, match=told.replace("+", r"\+")):
        quality.raise_on_critical(results, tmp_path / "docs")


def test_wrong_columns_and_types_are_critical(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    users = clean(connection, "users", [SOUND["users"]])
    for table in (
        users.select("* REPLACE (CAST(1 AS BIGINT) AS region)"),
        users.select("household, * EXCLUDE (household)"),
    ):
        results = quality.validate({"users": table}, SUITES, AS_OF, Params(), tmp_path / "docs")
        with pytest.raises(ExpectationError, match="users"):
            quality.raise_on_critical(results, tmp_path / "docs")


def test_stale_data_is_a_warning_that_stops_nothing(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    tables = {"stock": clean(connection, "stock", [SOUND["stock"]])}
    edge = datetime(2024, 5, 8, 12)
    results = quality.validate(tables, SUITES, edge, Params(), tmp_path / "docs")
    assert quality.warnings(results) == []
    results = quality.validate(tables, SUITES, AS_OF, Params(), tmp_path / "docs")
    assert quality.warnings(results) == [
        "stock.event_timestamp: expect_column_max_to_be_between (min_value 2024-05-25T00:00:00) failed (warning)"
    ]
    quality.raise_on_critical(results, tmp_path / "docs")


def test_data_docs_hold_samples_but_no_personal_value(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path, suites: Path, caplog: pytest.LogCaptureFixture
) -> None:
    secret, public = "planted-person-4711", "planted-product-4711"
    add(
        suites,
        "order_lines",
        {"type": "expect_column_values_to_match_regex", "kwargs": {"column": "user_id", "regex": "^u"}},
        {
            "type": "expect_column_values_to_not_match_regex",
            "kwargs": {"column": "item_id", "regex": "planted"},
        },
        {
            "type": "expect_column_distinct_values_to_be_in_set",
            "kwargs": {"column": "user_id", "value_set": ["u"]},
        },
        {
            "type": "expect_column_most_common_value_to_be_in_set",
            "kwargs": {"column": "user_id", "value_set": ["u"]},
        },
        {"type": "expect_column_values_to_be_unique", "kwargs": {"column": "user_id"}},
        {"type": "expect_compound_columns_to_be_unique", "kwargs": {"column_list": ["user_id", "item_id"]}},
        {
            "type": "expect_column_pair_values_to_be_equal",
            "kwargs": {"column_A": "item_id", "column_B": "user_id"},
        },
    )
    rows = [SOUND["order_lines"] | {"order_id": order, "user_id": secret, "item_id": public} for order in "ab"]
    tables = {"order_lines": clean(connection, "order_lines", rows)}
    results = quality.validate(tables, suites, AS_OF, Params(), tmp_path / "docs")
    with pytest.raises(ExpectationError) as caught:
        quality.raise_on_critical(results, tmp_path / "docs")
    pages = "".join(path.read_text() for path in (tmp_path / "docs").rglob("*.html"))
    assert secret not in pages + str(caught.value) + json.dumps(results)
    assert public in pages
    assert "expect_column_values_to_match_regex (regex ^u) failed (critical): 100.00% of rows" in str(caught.value)
    distinct = [one for one in results["tables"]["order_lines"]["expectations"] if "distinct" in one["type"]]
    assert [one["unexpected"] for one in distinct] == [None]
    assert caplog.records == []


def test_a_large_table_is_validated_on_every_kth_row(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    rows = pd.DataFrame([SOUND["stock"]] * 1001).assign(
        item_id=[f"{number:04d}" for number in range(1001)], on_hand=[float(number) for number in range(1001)]
    )
    table = clean(connection, "stock", rows)
    sample = quality.load(table, 1001, 100)
    assert list(sample["on_hand"]) == [float(number) for number in range(0, 1001, 11)]
    params = Params(quality=QualityParams(max_rows=100))
    results = quality.validate({"stock": table}, SUITES, datetime(2024, 5, 2), params, tmp_path / "docs")
    assert (results["tables"]["stock"]["rows"], results["tables"]["stock"]["validated"]) == (1001, 91)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "expectations/users.json is not valid JSON"),
        ("[]", "expectations/users.json is no suite"),
        ('{"name": "users"}', "expectations/users.json is no suite"),
        (
            '{"expectations": [{"type": "expect_miracles", "kwargs": {}}]}',
            "expectations/users.json: entry 1 is not an expectation.*expect_miracles",
        ),
        (
            '{"expectations": [{"type": "expect_column_values_to_not_be_null", "kwargs": {}}]}',
            "expectations/users.json: entry 1 is not an expectation",
        ),
        (
            '{"expectations": [{"type": "expect_column_max_to_be_between", "kwargs": {"column":"shoe"}}]}',
            "users.json: expect_column_max_to_be_between on shoe cannot be run.*columns of users",
        ),
        (
            '{"expectations": [{"type": "expect_column_to_exist", "kwargs": {"column":"a"}, "severity":7}]}',
            "expectations/users.json: entry 1 is not an expectation",
        ),
        (None, "There is no expectations/users.json"),
    ],
)
def test_a_bad_suite_is_an_error_that_names_its_file(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path, suites: Path, content: str | None, told: str
) -> None:
    path = suites / "users.json"
    path.unlink()
    if content is not None:
        path.write_text(content)
    with pytest.raises(SettingsError, match=told):
        quality.validate(
            {"users": clean(connection, "users", [SOUND["users"]])},
            suites,
            AS_OF,
            Params(),
            tmp_path / "docs",
        )
    assert not (tmp_path / "docs").exists()


def test_volume_is_held_against_the_last_run() -> None:
    last = {"events": 100, "items": 100, "users": 100, "stock": 10}
    now = {"events": 151, "items": 150, "users": 49, "credit": 7}
    assert quality.volume_warnings(now, last, QualityParams()) == [
        "credit: a new table of 7 rows",
        "events: 151 rows, +51% against the last run's 100",
        "stock: the table is gone; the last run had 10 rows",
        "users: 49 rows, -51% against the last run's 100",
    ]
    assert quality.volume_warnings(now, {}, QualityParams()) == []
