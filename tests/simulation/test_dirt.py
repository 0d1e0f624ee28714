"""Cleaning against the truth about dirt: what it refuses was dirty, and what can be seen it finds."""

from datetime import timedelta

import pytest

from ecomine.cleaning import clean
from ecomine.params import CleaningParams
from ecomine.simulation.dirt import KEYS
from ecomine.tables import TABLES
from tests.simulation.conftest import Made


def figures(shop: Made) -> dict[str, tuple[float, float, float]]:
    """Table → precision of cleaning, its recall of dirt that can be seen, and of all dirt; by key of a row."""
    end = shop.params.start + timedelta(days=shop.params.days)
    found = {}
    for name, key in KEYS.items():
        tables = {name: shop.connection.table(name)}
        result = clean(shop.connection, TABLES[name], tables, CleaningParams(), end)
        refused = set(result.refused_rows.project(", ".join(key)).fetchall())
        rows = shop.ask(f"SELECT key, second_key, seen FROM truth_dirt WHERE table_name = '{name}'")
        dirty = {tuple(str(part) for part in row[: len(key)]): row[2] for row in rows}
        seen = {row for row, visible in dirty.items() if visible}
        hits = refused & set(dirty)
        found[name] = (len(hits) / len(refused), len(refused & seen) / len(seen), len(hits) / len(dirty))
    return found


@pytest.fixture(scope="module")
def found(dirty_shop: Made) -> dict[str, tuple[float, float, float]]:
    return figures(dirty_shop)


@pytest.mark.parametrize("name", KEYS)
def test_cleaning_refuses_dirt_and_nothing_else(found: dict[str, tuple[float, float, float]], name: str) -> None:
    precision, recall_seen, recall = found[name]
    print(f"{name}: precision {precision:.4f}, recall {recall_seen:.4f} of what can be seen, {recall:.4f} of all")
    assert precision > 0.99
    assert recall_seen > 0.97
    assert recall > 0.8


def test_every_kind_of_dirt_is_there(dirty_shop: Made) -> None:
    kinds = {row[0] for row in dirty_shop.ask("SELECT DISTINCT kind FROM truth_dirt")}
    assert {"exact copy", "missing value", "malformed value", "clock at 1970", "bot", "price in cents"} <= kinds


def test_late_events_come_with_a_later_day(dirty_shop: Made) -> None:
    """In the order in which rows were written, some events stand among those of the day after."""
    late = dirty_shop.ask(
        f"""SELECT count(*) FROM (
            SELECT event_timestamp, max(event_timestamp) OVER (ORDER BY file_row_number) AS newest
            FROM read_parquet('{dirty_shop.folder}/data/raw/events/day-000000.parquet', file_row_number = true)
            WHERE event_type = 'impression')
        WHERE date_trunc('day', event_timestamp) < date_trunc('day', newest)"""
    )
    assert late[0][0] > 0


def test_a_clean_shop_has_no_dirt(clean_shop: Made) -> None:
    assert not (clean_shop.truth / "dirt").exists()
