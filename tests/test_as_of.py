"""The moment after which nothing is seen."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import duckdb
import pandas as pd
import pytest

from ecomine import cleaning
from ecomine.errors import SettingsError, SourceError
from ecomine.params import Params
from ecomine.tables import TABLES
from tests.test_cleaning import AS_OF, SOUND, canonical, relation


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


def times(connection: duckdb.DuckDBPyConnection, name: str, moments: Any) -> Mapping[str, duckdb.DuckDBPyRelation]:
    table = TABLES[name]
    rows = pd.DataFrame([SOUND[name]] * len(moments)).assign(**{str(table.time): moments})
    return {name: relation(connection, name, canonical(name, rows))}


def test_as_of_is_the_end_of_the_last_busy_day(connection: duckdb.DuckDBPyConnection) -> None:
    days = [*pd.date_range("2024-01-01", periods=1000, freq="h"), pd.Timestamp("2099-01-01")]
    assert cleaning.resolve_as_of(times(connection, "order_lines", days), Params()) == datetime(2024, 2, 12)
    assert cleaning.resolve_as_of(times(connection, "stock", days), Params()) == datetime(2024, 2, 12)


def test_as_of_prefers_orders_to_a_larger_table(connection: duckdb.DuckDBPyConnection) -> None:
    orders = times(connection, "order_lines", [pd.Timestamp("2024-01-01 10:00")])
    stock = times(connection, "stock", pd.date_range("2024-01-01", periods=100, freq="D"))
    assert cleaning.resolve_as_of(orders | stock, Params()) == datetime(2024, 1, 2)


def test_as_of_may_be_set(connection: duckdb.DuckDBPyConnection) -> None:
    assert cleaning.resolve_as_of({}, Params(as_of=AS_OF)) == AS_OF
    with pytest.raises(SettingsError, match="expected `latest` or a time"):
        cleaning.resolve_as_of({}, Params(as_of="soon"))
    with pytest.raises(SourceError, match="needs a table with times; this source has items"):
        cleaning.resolve_as_of({"items": relation(connection, "items", canonical("items", [SOUND["items"]]))}, Params())
