"""A day's increment against a computation of everything: the same bytes, whatever came late."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from ecomine.feature_store import blocks
from ecomine.feature_store.catalogue import FEATURE_TABLES, SERVICES
from tests.feature_store.wide_shop import computed, wide_shop

AS_OF = datetime(2024, 5, 20, 7, 30)
DAY = timedelta(days=1)
TIMED = ("order_lines", "events", "payments")


@pytest.fixture(scope="module")
def shop() -> dict[str, pd.DataFrame]:
    return wide_shop(users=60, items=50)


def known_at(tables: dict[str, pd.DataFrame], moment: datetime, late: timedelta = timedelta(0)) -> dict:
    """What the shop had at `moment`: without later rows, and without every third row of the last `late`."""

    def there(frame: pd.DataFrame) -> pd.Series:
        fresh = frame.event_timestamp > moment - late
        return (frame.event_timestamp <= moment) & ~(fresh & (frame.index % 3 == 0))

    return {name: frame[there(frame)] if name in TIMED else frame for name, frame in tables.items()}


def assert_same(one: Path, other: Path, names: Iterable[str] = FEATURE_TABLES) -> None:
    for name in names:
        assert (one / f"{name}.parquet").read_bytes() == (other / f"{name}.parquet").read_bytes(), name


@pytest.mark.parametrize(("step", "days", "overlap"), [(1, 1, 2), (7, 14, 10)])
def test_an_increment_equals_everything_anew(
    tmp_path: Path, shop: dict[str, pd.DataFrame], step: int, days: int, overlap: int
) -> None:
    """The overlap holds rows that were not there at the first run; the first run's own newest rows are replaced."""
    memory, settings = tmp_path / "memory", {"snapshot_days": step, "overlap_days": overlap, "windows": [7]}
    before = AS_OF - days * DAY
    computed(tmp_path / "first", known_at(shop, before, overlap * DAY), before, memory, **settings)
    out, said = computed(tmp_path / "next", known_at(shop, AS_OF), AS_OF, memory, **settings)
    assert any("kept up to" in line for line in said)
    anew, _ = computed(tmp_path / "anew", known_at(shop, AS_OF), AS_OF, **settings)
    assert_same(out, anew)


def test_blocks_of_a_long_history_equal_all_at_once(
    tmp_path: Path, shop: dict[str, pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    """For the whole history and for a week more, with ids that have quotes in them."""
    lines = shop["order_lines"]
    given = shop | {"order_lines": lines.assign(user_id=lines.user_id.str.replace("u0001", "o'Neill"))}
    names = [table.name for table in FEATURE_TABLES.values() if table.apart] + ["item_habits", *SERVICES["risk"][1:]]
    before, memory, settings = AS_OF - 7 * DAY, tmp_path / "memory", {"tables": names, "windows": [7, 30]}
    whole, _ = computed(tmp_path / "whole", known_at(given, AS_OF), AS_OF, **settings)
    monkeypatch.setattr(blocks, "BLOCK", len(lines) // 8)
    monkeypatch.setattr(blocks, "SAMPLE", 100)
    monkeypatch.setattr(blocks, "GROUP", 3)
    seen: set[tuple[str | None, int]] = set()
    choose = blocks.Blocks.choose
    monkeypatch.setattr(
        blocks.Blocks, "choose", lambda self, key, block: seen.add((key, block)) or choose(self, key, block)
    )
    apart, _ = computed(tmp_path / "apart", known_at(given, AS_OF), AS_OF, **settings)
    computed(tmp_path / "first", known_at(given, before), before, memory, **settings)
    week, said = computed(tmp_path / "week", known_at(given, AS_OF), AS_OF, memory, **settings)
    assert any("kept up to" in line for line in said)
    assert {("user_id", 5), ("item_id", 5), (None, 0)} <= seen
    for name in names:
        content = (whole / f"{name}.parquet").read_bytes()
        assert content == (apart / f"{name}.parquet").read_bytes() == (week / f"{name}.parquet").read_bytes(), name


def test_days_go_on_from_days(tmp_path: Path, shop: dict[str, pd.DataFrame]) -> None:
    memory, settings = tmp_path / "memory", {"snapshot_days": 1, "overlap_days": 1, "windows": [7]}
    for back in (2, 1, 0):
        moment = AS_OF - back * DAY
        out, said = computed(tmp_path / f"day{back}", known_at(shop, moment, DAY), moment, memory, **settings)
        assert any("kept up to" in line for line in said) == (back < 2)
    anew, _ = computed(tmp_path / "anew", known_at(shop, AS_OF, DAY), AS_OF, **settings)
    assert_same(out, anew)


def test_the_same_day_again_equals_everything_anew(tmp_path: Path, shop: dict[str, pd.DataFrame]) -> None:
    memory = tmp_path / "memory"
    first, _ = computed(tmp_path / "first", shop, AS_OF, memory, windows=[7])
    again, said = computed(tmp_path / "again", shop, AS_OF, memory, windows=[7])
    assert any("kept up to" in line for line in said)
    assert_same(first, again)


@pytest.mark.parametrize("table", TIMED)
def test_a_row_later_than_the_overlap_costs_a_whole_computation(
    tmp_path: Path, shop: dict[str, pd.DataFrame], table: str
) -> None:
    memory, before = tmp_path / "memory", AS_OF - 7 * DAY
    names = [one.name for one in FEATURE_TABLES.values() if table in one.sources]
    settings = {"tables": names, "windows": [30]}
    computed(tmp_path / "first", known_at(shop, before, 40 * DAY), before, memory, **settings)
    changed = known_at(shop, AS_OF) | {name: known_at(shop, AS_OF, 47 * DAY)[name] for name in TIMED if name != table}
    out, said = computed(tmp_path / "next", changed, AS_OF, memory, **settings)
    assert any("rows from before 2024-05-06 changed" in line for line in said)
    anew, _ = computed(tmp_path / "anew", changed, AS_OF, **settings)
    assert_same(out, anew, names)


def test_other_settings_or_another_weekday_start_anew(tmp_path: Path, shop: dict[str, pd.DataFrame]) -> None:
    memory = tmp_path / "memory"
    few = {"tables": ["user_snapshot", "item_snapshot", "user_item", "user_habits", *SERVICES["risk"][1:]]}
    computed(tmp_path / "a", shop, AS_OF - 7 * DAY, memory, **few)
    for number, (moment, windows, why) in enumerate(
        [(AS_OF, [7, 30], "settings changed"), (AS_OF - DAY, [7, 30, 90], "no earlier run")]
    ):
        _, said = computed(tmp_path / str(number), shop, moment, memory, windows=windows, **few)
        assert any(why in line for line in said), said
