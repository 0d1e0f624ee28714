"""What may be sent: strict, and never looser than cleaning."""

import json
from datetime import UTC, datetime, timedelta

import duckdb
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecomine.cleaning.rules import row_rules
from ecomine.params import CleaningParams, StreamingParams
from ecomine.streaming.envelope import (
    EXAMPLES,
    KINDS,
    LATER,
    MOST,
    NoEventsError,
    identity,
    identity_sql,
    judge,
    rows_of,
    schema,
)
from ecomine.tables import MALFORMED, TABLES
from tests.streaming.shop import NOW

PARAMS = StreamingParams()
EVENT = EXAMPLES["events"] | {"event_timestamp": NOW.isoformat() + "Z"}
PAYMENT = EXAMPLES["payments"] | {"event_timestamp": NOW.isoformat() + "Z"}
LINE = EXAMPLES["order_lines"] | {"event_timestamp": NOW.isoformat() + "Z"}


def test_each_kind_becomes_a_row_of_its_table() -> None:
    judged = judge([EVENT, PAYMENT, LINE], NOW, PARAMS)
    assert judged.refusals == []
    assert [entry.kind for entry in judged.entries] == list(KINDS)
    assert judged.names == ["e-73250", "p-511", "o-77 1082185"]
    assert json.loads(judged.entries[2].body)["event_timestamp"] == NOW.isoformat(sep=" ", timespec="microseconds")


def test_a_time_becomes_utc_and_a_number_that_is_an_id_becomes_text() -> None:
    moment = datetime(2024, 5, 31, 12, 0, 0, 250_000, tzinfo=UTC)
    there = "2024-05-31T14:00:00.250+02:00"
    judged = judge([EVENT | {"event_timestamp": there, "user_id": 17}], moment.replace(tzinfo=None), PARAMS)
    assert judged.entries[0].micro == int(moment.timestamp() * 1_000_000)
    assert json.loads(judged.entries[0].body)["user_id"] == "17"


@pytest.mark.parametrize(
    ("row", "field", "told"),
    [
        (EVENT | {"event_type": "viewed"}, "event_type", "search"),
        (EVENT | {"position": 0}, "position", "greater"),
        (EVENT | {"position": 1.5}, "position", "integer"),
        (EVENT | {"rating": 6}, "rating", "less"),
        (EVENT | {"user_id": "  "}, "user_id", "empty"),
        (EVENT | {"user_id": None}, "user_id", "string"),
        (EVENT | {"user_id": "a\x1fb"}, "user_id", "control"),
        (EVENT | {"user_id": "u" * 201}, "user_id", "200"),
        (EVENT | {"colour": "red"}, "colour", "no such column"),
        (EVENT | {"event_timestamp": 1_700_000_000}, "event_timestamp", "ISO 8601"),
        (EVENT | {"event_timestamp": "yesterday"}, "event_timestamp", "ISO 8601"),
        (EVENT | {"event_timestamp": (NOW - timedelta(days=31)).isoformat()}, "event_timestamp", "older than 30 days"),
        (EVENT | {"event_timestamp": (NOW + timedelta(hours=1)).isoformat()}, "event_timestamp", "ahead"),
        (PAYMENT | {"amount": -0.01}, "amount", "greater"),
        (PAYMENT | {"amount": "12"}, "amount", "number"),
        (PAYMENT | {"amount": 10**400}, "amount", ""),
        (PAYMENT | {"is_fraud": True}, "is_fraud", "no such column"),
        (LINE | {"quantity": -1}, "quantity", "greater"),
        ({"kind": "items"}, "", "kind"),
        ({"event_id": "1"}, "", "kind"),
        ("view", "", "dictionary"),
    ],
)
def test_a_wrong_row_is_refused_by_itself_and_the_field_is_named(row: object, field: str, told: str) -> None:
    judged = judge([EVENT, row, PAYMENT], NOW, PARAMS)
    assert judged.names == ["e-73250", "p-511"]
    assert [(one.row, one.field) for one in judged.refusals] == [(1, field)]
    assert told in judged.refusals[0].error


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "no JSON"),
        (b'{"kind": "events", "rating": NaN}', "no JSON"),
        (b'"view"', "The body is an event"),
        (b'{"events": []}', "1 to 1,000"),
        (b'{"events": {}, "more": 1}', "nothing beside"),
        (json.dumps({"events": [1] * (MOST + 1)}).encode(), "1,001 came"),
    ],
)
def test_a_body_without_events_says_what_was_expected(body: bytes, told: str) -> None:
    with pytest.raises(NoEventsError, match=told):
        rows_of(body)


def test_duckdb_knows_the_same_identity() -> None:
    connection = duckdb.connect()
    frame = pd.DataFrame({"order_id": ["o-1", "ä"], "item_id": ["i", "1 2"]})
    connection.register("lines", frame)
    found = connection.execute(f"SELECT {identity_sql('order_lines')} FROM lines").fetchall()
    assert [bytes(one) for (one,) in found] == [identity("order_lines", key) for key in frame.to_numpy().tolist()]


def test_the_schema_for_people_has_every_column_that_may_be_sent() -> None:
    for one, kind in zip(schema()["anyOf"], KINDS, strict=False):
        assert set(one["properties"]) == {"kind", *TABLES[kind].names} - set(LATER)
        assert set(one["required"]) == {"kind", *TABLES[kind].required}


VALUES = st.one_of(
    st.none(),
    st.integers(-3, 10),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["view", "VIEW", "", " ", "x", "\u00a0", "2024-05-31"]),
    st.text(max_size=3),
)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([EVENT, PAYMENT, LINE]), st.data())
def test_what_is_accepted_is_not_refused_by_cleaning_for_itself(sound: dict, data: st.DataObject) -> None:
    columns = [name for name in TABLES[sound["kind"]].names if name not in LATER]
    changed = data.draw(st.dictionaries(st.sampled_from(columns), VALUES, max_size=3))
    judged = judge([sound | changed], NOW, PARAMS)
    for entry in judged.entries:
        table, body = TABLES[entry.kind], json.loads(entry.body)
        casts = ", ".join(f"CAST(? AS {one.sql_type}) AS {one.name}" for one in table.columns)
        row = f"SELECT {casts}, NULL AS {MALFORMED}"
        loose = CleaningParams(max_quantity=1e12, max_unit_price=1e12)  # the shop's own limits of what it believes
        for rule in row_rules(table, loose, NOW + timedelta(days=1)):
            found = CONNECTION.execute(
                f"SELECT count(*) FROM ({row}) WHERE {rule.condition}", [body.get(name) for name in table.names]
            ).fetchall()
            assert found == [(0,)], (rule.reason, body)


CONNECTION = duckdb.connect()
