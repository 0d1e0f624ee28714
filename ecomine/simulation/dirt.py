"""Dirt, as it comes from real systems; the truth keeps what was done to which row.

Late events are no fault of a row: they come with the next day's. A clock an hour off and a price in the wrong
currency that is not far off cannot be seen by looking at a row, and are there so that recall has an honest ceiling.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ecomine.simulation import events
from ecomine.simulation.rows import QUANTITIES
from ecomine.simulation.sessions import SECOND_US
from ecomine.simulation.write import text

BOT_EVENTS = 6000
BOTS_PER_DAY = 0.02
FIRST_BOT = 9_000_000_000
LATE_SHARE = 0.001

Random = np.random.Generator
Spoil = Callable[[pa.Table, np.ndarray, Random], pa.Table]


@dataclass(frozen=True)
class Fault:
    """A kind of dirt: the table it falls on, its share of rows at dirt 1, and what it does to chosen rows."""

    kind: str
    table: str
    share: float
    spoil: Spoil | None
    seen: bool = True


def _replaced(table: pa.Table, name: str, rows: np.ndarray, value: Callable[[pa.Array], pa.Array]) -> pa.Table:
    """The table with `value` of the given rows of a column in their place."""
    place = table.schema.get_field_index(name)
    column = table.column(name).combine_chunks()
    mask = np.zeros(len(column), bool)
    mask[rows] = True
    new = value(column.take(pa.array(rows))).cast(column.type)
    return table.set_column(place, name, pc.replace_with_mask(column, pa.array(mask), new))


def _nothing(name: str) -> Spoil:
    return lambda table, rows, random: _replaced(table, name, rows, lambda old: pa.nulls(len(old), old.type))


def _scaled(name: str, factor: float) -> Spoil:
    def spoil(table: pa.Table, rows: np.ndarray, random: Random) -> pa.Table:
        return _replaced(table, name, rows, lambda old: pc.round(pc.multiply(old, factor), 2))

    return spoil


def _shifted(seconds: int) -> Spoil:
    def spoil(table: pa.Table, rows: np.ndarray, random: Random) -> pa.Table:
        return _replaced(
            table, "event_timestamp", rows, lambda old: pc.add(old.cast(pa.int64()), seconds * SECOND_US).cast(old.type)
        )

    return spoil


def _since_1970(table: pa.Table, rows: np.ndarray, random: Random) -> pa.Table:
    return _replaced(
        table, "event_timestamp", rows, lambda old: pa.array(np.arange(len(old)) * SECOND_US, pa.timestamp("us"))
    )


def _worded(name: str, words: tuple[str, ...], first: int) -> Spoil:
    """Words from `first` on in place of the given ones, in a column kept as numbers of words."""

    def spoil(table: pa.Table, rows: np.ndarray, random: Random) -> pa.Table:
        column = table.column(name).combine_chunks()
        codes = column.indices.fill_null(-1).to_numpy(zero_copy_only=False).copy()
        codes[rows] = random.integers(first, len(words), len(rows))
        return table.set_column(table.schema.get_field_index(name), name, text(codes, words))

    return spoil


EVENT_WORDS = (*events.TYPES, "veiw", "page_load", "click?")

FAULTS = (
    Fault("missing value", "events", 0.001, _nothing("user_id")),
    Fault("unknown event type", "events", 0.0005, _worded("event_type", EVENT_WORDS, len(events.TYPES))),
    Fault("clock at 1970", "events", 0.0003, _since_1970),
    Fault("clock an hour off", "events", 0.0005, _shifted(-3600), seen=False),
    Fault("exact copy", "events", 0.002, None),
    Fault("malformed value", "order_lines", 0.0015, _worded("quantity", QUANTITIES, 100)),
    Fault("missing value", "order_lines", 0.001, _nothing("user_id")),
    Fault("price in cents", "order_lines", 0.0008, _scaled("unit_price", 100.0)),
    Fault("price in another currency", "order_lines", 0.0005, _scaled("unit_price", 1.3), seen=False),
    Fault("clock at 1970", "order_lines", 0.0003, _since_1970),
    Fault("exact copy", "order_lines", 0.002, None),
    Fault("negative amount", "payments", 0.001, _scaled("amount", -1.0)),
    Fault("missing value", "payments", 0.001, _nothing("user_id")),
    Fault("exact copy", "payments", 0.002, None),
)
"""In the order in which they are tried; a row has one fault at most. Those not `seen` cannot be told from a row."""

KEYS = {"events": ("event_id",), "order_lines": ("order_id", "item_id"), "payments": ("payment_id",)}


def soil(name: str, table: pa.Table, dirt: float, random: Random) -> tuple[pa.Table, pa.Table]:
    """The table with faults, and the truth about them: table_name, kind, seen and the key, in two parts."""
    draw = random.random(table.num_rows)
    copies, found, low = [], [], 0.0
    for fault in (fault for fault in FAULTS if fault.table == name):
        high = low + fault.share * dirt
        rows = np.flatnonzero((draw >= low) & (draw < high))
        low = high
        if not len(rows):
            continue
        keys = [table.column(column).combine_chunks().take(pa.array(rows)).cast(pa.int64()) for column in KEYS[name]]
        found.append(_truth(name, fault.kind, fault.seen, keys))
        if fault.spoil is None:
            copies.append(table.take(pa.array(rows)))
        else:
            table = fault.spoil(table, rows, random)
    table = pa.concat_tables([table, *copies])
    return table, pa.concat_tables(found) if found else _truth(name, "", True, [pa.array([], pa.int64())])


def worded(table: pa.Table) -> pa.Table:
    """Event types as numbers of EVENT_WORDS, of which the sound ones come first."""
    codes = table.column("event_type").combine_chunks().indices.to_numpy(zero_copy_only=False)
    return table.set_column(table.schema.get_field_index("event_type"), "event_type", text(codes, EVENT_WORDS))


def _truth(name: str, kind: str, seen: bool, keys: list[pa.Array]) -> pa.Table:
    count = len(keys[0])
    second = keys[1] if len(keys) > 1 else pa.nulls(count, pa.int64())
    return pa.table(
        {
            "table_name": text(np.zeros(count, int), (name,)),
            "kind": text(np.zeros(count, int), (kind,)),
            "seen": np.full(count, seen),
            "key": keys[0],
            "second_key": second,
        }
    )


def late(table: pa.Table, dirt: float, random: Random) -> tuple[pa.Table, pa.Table]:
    """The events that come in time, and those that come with the next day's: some views and impressions."""
    codes = table.column("event_type").combine_chunks().indices.to_numpy(zero_copy_only=False)
    away = (random.random(len(codes)) < LATE_SHARE * dirt) & np.isin(codes, (events.IMPRESSION, events.VIEW))
    return table.filter(pa.array(~away)), table.filter(pa.array(away))


def bots(
    items: np.ndarray, midnight: int, first_id: int, day: int, dirt: float, queries: pa.Array, random: Random
) -> tuple[pa.Table, pa.Table] | None:
    """Views by machines that came today, and the truth about them; None on most days."""
    count = int(random.poisson(BOTS_PER_DAY * dirt))
    if not count:
        return None
    log = events.EventLog()
    for number in range(count):
        time = midnight + np.sort(random.integers(0, 86_000, BOT_EVENTS)) * SECOND_US
        user = np.full(BOT_EVENTS, FIRST_BOT + day * 100 + number)
        log.add(events.VIEW, np.full(BOT_EVENTS, -1), user, time, item=random.choice(items, BOT_EVENTS))
    table = log.table(first_id, queries)
    return table, _truth("events", "bot", True, [table.column("event_id").combine_chunks()])
