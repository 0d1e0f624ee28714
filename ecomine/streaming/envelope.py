"""The envelope of an event: its kind, which is the canonical table it is a row of, and that table's columns.

What a row must satisfy is what cleaning asks of it, so that an accepted event is not refused later for itself.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, Union

import pydantic_core
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
    create_model,
)

from ecomine.cleaning.rules import EVENT_TYPES
from ecomine.params import StreamingParams
from ecomine.streaming.log import Entry
from ecomine.tables import TABLES, Column, Table

MOST = 1_000
"""Events in one request."""

KINDS = ("events", "payments", "order_lines")
"""Canonical tables whose rows may be sent."""

LATER = ("is_fraud", "label_timestamp")
"""Columns that are not known when it happens; they come with the tables."""

TIME = "event_timestamp"
EPOCH = datetime(1970, 1, 1)
SEPARATOR = "\x1f"
"""Between the parts of an identity; no id holds it."""

LIMITS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "events": {"position": {"ge": 1}, "rating": {"ge": 1, "le": 5}, "propensity": {"ge": 0, "le": 1}},
    "payments": {"amount": {"ge": 0}},
    "order_lines": {
        "quantity": {"gt": 0},
        "unit_price": {"ge": 0},
        "list_price": {"ge": 0},
        "discount": {"ge": 0},
    },
}
"""Numbers that can be true, by kind and column."""

GREATEST = 1e11
"""Every number is below it, so that ten-thousandths of it add up exactly."""

EXAMPLES: dict[str, dict[str, Any]] = {
    "events": {
        "kind": "events",
        "event_id": "e-73250",
        "user_id": "1",
        "session_id": "s-9",
        "item_id": "1082185",
        "event_type": "view",
        "event_timestamp": "2017-12-31T18:04:05.250Z",
        "device": "mobile",
    },
    "payments": {
        "kind": "payments",
        "payment_id": "p-511",
        "order_id": "o-77",
        "user_id": "1",
        "event_timestamp": "2017-12-31T18:09:11Z",
        "amount": 39.6,
        "method": "card",
        "card_id": "c-04",
        "device_id": "d-31",
    },
    "order_lines": {
        "kind": "order_lines",
        "order_id": "o-77",
        "user_id": "1",
        "item_id": "1082185",
        "event_timestamp": "2017-12-31T18:09:30Z",
        "quantity": 2,
        "unit_price": 1.29,
    },
}


_AS_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Refusal(BaseModel):
    """Why one event was not accepted; the value itself is left out, since it may name a person."""

    row: int = Field(description="place of the event in the request, from 0")
    field: str = Field(description="the column, empty where it is about the whole event")
    error: str


@dataclass(frozen=True)
class Judged:
    """Sound events of a request, what each is called, and why the others were refused."""

    entries: list[Entry]
    names: list[str]
    refusals: list[Refusal]


class NoEventsError(ValueError):
    """A body that holds no events; the text says what came and what was expected."""


def _text(value: Any) -> Any:
    return str(value) if type(value) is int and abs(value) < 1 << 63 else value


def _moment(value: Any) -> Any:
    """ISO 8601 text as a time in UTC without a zone, in microseconds."""
    if type(value) is not str:
        raise ValueError("a time is ISO 8601 text, such as 2024-05-31T12:00:00Z")
    try:
        moment = datetime.fromisoformat(value)
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except (ValueError, OverflowError):
        raise ValueError("a time is ISO 8601 text, such as 2024-05-31T12:00:00Z") from None


_WORD = StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")
_LINE = StringConstraints(strip_whitespace=True, min_length=1, max_length=2_000, pattern=r"^[^\x00]+$")

Id = Annotated[str, _WORD, BeforeValidator(_text, json_schema_input_type=str | int)]

TYPES: dict[str, Any] = {
    "id": Id,
    "text": Annotated[str, _LINE],
    "number": Annotated[float, Field(allow_inf_nan=False, lt=GREATEST)],
    "count": Annotated[int, Field(lt=int(GREATEST))],
    "flag": bool,
    "time": Annotated[datetime, BeforeValidator(_moment), WithJsonSchema({"type": "string", "format": "date-time"})],
}
"""Of each kind of column; nothing is converted, but ids may be numbers."""


def _field(table: Table, column: Column) -> tuple[Any, Any]:
    kind = Literal[EVENT_TYPES] if column.name == "event_type" else TYPES[column.kind]
    limits = LIMITS[table.name].get(column.name)
    kind = Annotated[kind, Field(**limits)] if limits else kind
    if column.required:
        return kind, Field(description=column.meaning)
    return kind | None, Field(None, description=column.meaning)


def _model(kind: str) -> type[BaseModel]:
    table = TABLES[kind]
    fields: dict[str, Any] = {one.name: _field(table, one) for one in table.columns if one.name not in LATER}
    fields["kind"] = (Literal[kind], ...)
    config = ConfigDict(strict=True, extra="forbid", json_schema_extra={"examples": [EXAMPLES[kind]]})
    name = "".join(word.capitalize() for word in kind.rstrip("s").split("_"))
    return create_model(name, __config__=config, __doc__=f"{table.row}.".capitalize(), **fields)


MODELS: dict[str, type[BaseModel]] = {kind: _model(kind) for kind in KINDS}
_EITHER: Any = Annotated[Union[tuple(MODELS.values())], Field(discriminator="kind")]  # noqa: UP007
ROW: TypeAdapter[Any] = TypeAdapter(_EITHER)
ROWS: TypeAdapter[Any] = TypeAdapter(list[_EITHER])


def schema() -> dict[str, Any]:
    """What may be sent, as a schema for the OpenAPI page."""
    one = {"oneOf": [model.model_json_schema() for model in MODELS.values()], "discriminator": {"propertyName": "kind"}}
    many = {
        "type": "object",
        "title": "Batch",
        "required": ["events"],
        "additionalProperties": False,
        "properties": {"events": {"type": "array", "minItems": 1, "maxItems": MOST, "items": one}},
    }
    return {"anyOf": [*one["oneOf"], many]}


def rows_of(body: bytes) -> tuple[list[Any], bool]:
    """The events of a body, and whether it was a batch; raises NoEventsError where it holds none."""
    try:
        given = pydantic_core.from_json(body, allow_inf_nan=False, cache_strings="keys")
    except ValueError as error:
        raise NoEventsError(f"The body is no JSON: {error}.") from None
    if isinstance(given, dict) and "events" in given and "kind" not in given:
        rows, others = given["events"], sorted(set(given) - {"events"})
        if others or not isinstance(rows, list):
            raise NoEventsError('A batch is {"events": [ … ]} and nothing beside it.')
        if not 1 <= len(rows) <= MOST:
            raise NoEventsError(f"A batch holds 1 to {MOST:,} events; {len(rows):,} came.")
        return rows, True
    if not isinstance(given, dict):
        raise NoEventsError('The body is an event, such as {"kind": "events", …}, or {"events": [ … ]}.')
    return [given], False


def judge(rows: Sequence[Any], now: datetime, params: StreamingParams) -> Judged:
    """Each row by itself; a row dated further back than the window, or ahead of `now` (UTC), is refused."""
    refusals: dict[int, Refusal] = {}
    try:
        models = list(enumerate(ROWS.validate_python(rows)))
    except ValidationError:
        models = []
        for place, row in enumerate(rows):
            try:
                models.append((place, ROW.validate_python(row)))
            except ValidationError as error:
                refusals[place] = _refusal(place, error)
    oldest, latest = now - timedelta(days=params.window_days), now + timedelta(minutes=params.ahead_minutes)
    entries, names = [], []
    for place, model in models:
        values = {name: value for name, value in model.__dict__.items() if value is not None}
        moment = values[TIME]
        if not oldest <= moment <= latest:
            refusals[place] = Refusal(row=place, field=TIME, error=_untimely(moment, oldest, params))
            continue
        kind = values.pop("kind")
        key = [values[name] for name in TABLES[kind].key]
        values[TIME] = moment.isoformat(sep=" ", timespec="microseconds")
        micro = (moment - EPOCH) // timedelta(microseconds=1)
        entries.append(Entry(identity(kind, key), kind, micro, _AS_JSON(values)))
        names.append(" ".join(key))
    return Judged(entries, names, [refusals[place] for place in sorted(refusals)])


def identity(kind: str, key: Sequence[str]) -> bytes:
    """16 bytes by which a row is known to be the same one again; DuckDB makes the same from the tables."""
    return hashlib.sha256(SEPARATOR.join([kind, *key]).encode()).digest()[:16]


def identity_sql(kind: str) -> str:
    """`identity` in DuckDB's SQL, over the columns of the table."""
    parts = " || ".join(f'chr(31) || "{name}"' for name in TABLES[kind].key)
    return f"unhex(sha256('{kind}' || {parts})[:32])"


TOLD = {
    "extra_forbidden": "no such column; see /docs for those that there are",
    "too_short": "empty",
    "string_too_short": "empty",
    "string_pattern_mismatch": "empty, or with control characters",
    "union_tag_invalid": f"`kind` is one of {', '.join(KINDS)}",
    "union_tag_not_found": f"`kind` is missing; it is one of {', '.join(KINDS)}",
    "string_unicode": "no Unicode text",
}
"""In place of what the library says, by its name of the error."""


def _refusal(place: int, error: ValidationError) -> Refusal:
    """The first thing that is wrong with a row."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = [str(part) for part in first["loc"] if part not in KINDS]
    told = TOLD.get(first["type"], first["msg"].removeprefix("Value error, "))
    return Refusal(row=place, field=where[0][:100] if where else "", error=told)


def _untimely(moment: datetime, oldest: datetime, params: StreamingParams) -> str:
    if moment < oldest:
        return f"older than {params.window_days:g} days; what is so late comes with the shop's tables"
    return f"more than {params.ahead_minutes:g} minutes ahead of this server's clock (UTC)"
