"""From what a SELECT gave to a canonical table: every column of its type, what is not of it kept as text."""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass

import duckdb

from ecomine.errors import SourceError
from ecomine.tables import MALFORMED, TABLES, Column, Table

MAX_MALFORMED_SHARE = 0.5
"""A column with more wrong values than this share is wrongly mapped; with fewer, the rows are at fault."""

_INTEGERS = {
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
    "UBIGINT",
    "HUGEINT",
    "UHUGEINT",
}
_TIMES = {"DATE", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE"}
_MISSING = "('', 'nan', 'null', 'none', 'na', 'n/a', '\\n')"
_TRUE, _FALSE = "('true', 't', 'yes', 'y', '1', '1.0')", "('false', 'f', 'no', 'n', '0', '0.0')"

_HINTS = {
    "time": "Write it as a time, such as strptime(column, '%d/%m/%Y %H:%M') or to_timestamp(it).",
    "number": "Write it as a number in the SELECT, such as CAST(replace(column, ',', '') AS DOUBLE).",
    "count": "Whole numbers are expected.",
    "flag": "Expected true/false, yes/no or 1/0; write it so in the SELECT, such as column = 'paid'.",
}


@dataclass(frozen=True)
class Cast:
    """One column as SQL: its value in the canonical type, and when the given value is not of that type."""

    value: str
    wrong: str | None = None


def quoted(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def cast(column: Column, name: str, given: str) -> Cast:
    """How the column `name` of DuckDB type `given` becomes the canonical `column`.

    Texts and ids lose surrounding blanks, blank ones become null; an id kept as a float, as pandas does where
    ids are missing, loses its `.0`; times with a zone become UTC.
    """
    x = quoted(name)
    floating, decimal = given in ("DOUBLE", "FLOAT"), given.startswith("DECIMAL")
    as_text = f"({x} ->> '$')" if given == "JSON" else f"CAST({x} AS VARCHAR)"
    if column.kind in ("id", "text"):
        if column.kind == "id" and (floating or decimal):
            whole = f"CASE WHEN {x} = trunc({x}) THEN CAST(TRY_CAST({x} AS HUGEINT) AS VARCHAR) END"
            return Cast(f"CASE WHEN NOT isnan(CAST({x} AS DOUBLE)) THEN coalesce({whole}, {as_text}) END")
        return Cast(f"nullif(trim({as_text}), '')")
    text = f"trim({as_text})"
    given_value = f"({x} IS NOT NULL AND lower({text}) NOT IN {_MISSING})"
    if column.kind == "flag":
        if given == "BOOLEAN":
            return Cast(x)
        value = f"CASE WHEN lower({text}) IN {_TRUE} THEN true WHEN lower({text}) IN {_FALSE} THEN false END"
    elif column.kind == "time":
        if given in _TIMES:
            value = f"TRY_CAST({x} AS TIMESTAMP)"
        else:
            value = f"TRY_CAST(TRY_CAST({text} AS TIMESTAMPTZ) AS TIMESTAMP)"
        value = f"CASE WHEN isfinite({value}) THEN {value} END"
    elif given in _INTEGERS:
        value = f"TRY_CAST({x} AS {column.sql_type})"
    else:
        number = f"CAST({x} AS DOUBLE)" if floating or decimal else f"TRY_CAST({text} AS DOUBLE)"
        value = f"CASE WHEN isfinite({number}) THEN {number} END"
        if column.kind == "count":
            value = f"CASE WHEN {number} = trunc({number}) THEN TRY_CAST({number} AS BIGINT) END"
    safe = (given in _INTEGERS and column.kind == "number") or (decimal and column.kind == "number")
    return Cast(value, None if safe else f"({given_value} AND ({value}) IS NULL)")


def check_names(name: str, columns: list[str], where: str) -> None:
    """Raises SourceError, naming what is there and what was expected, for a missing or an unknown column."""
    table = TABLES[name]
    there = f"Columns there: {', '.join(columns)}."
    unknown = [column for column in columns if column not in table.names]
    renames = {column: close for column in unknown if (close := _closest(column, table, columns))}
    missing = [column for column in table.required if column not in columns]
    if missing:
        words = f"column {missing[0]} is" if len(missing) == 1 else f"columns {', '.join(missing)} are"
        hint = _rename_hint(renames) or f" Name them in the SELECT, such as `SELECT … AS {missing[0]}`."
        raise SourceError(f"{where} the required {words} missing.{hint} {there}")
    if unknown:
        words = "columns" if len(unknown) > 1 else "column"
        hint = _rename_hint(renames) or " Leave them out of the SELECT."
        raise SourceError(
            f"{where} {name} knows no {words} {', '.join(unknown)}.{hint} Known: {', '.join(table.names)}. {there}"
        )


def conform(rows: duckdb.DuckDBPyRelation, name: str, where: str) -> duckdb.DuckDBPyRelation:
    """The relation `rows` as the canonical table `name`, with its column `malformed`.

    Raises SourceError where a column is missing or unknown, there are no rows, or most values of a column are
    not of its type; `where` names the mapping in the text.
    """
    table = TABLES[name]
    check_names(name, rows.columns, where)
    types = dict(zip(rows.columns, map(str, rows.types), strict=True))
    casts = {column: cast(table[column], column, types[column]) for column in types}
    _check_types(rows, table, casts, types, where)
    given = {column: one.value for column, one in casts.items()}
    values = [f"CAST({given.get(c.name, 'NULL')} AS {c.sql_type}) AS {quoted(c.name)}" for c in table.columns]
    return rows.project(", ".join([*values, f"{_malformed(casts)} AS {MALFORMED}"]))


def _malformed(casts: Mapping[str, Cast]) -> str:
    parts = [
        f"CASE WHEN {one.wrong} THEN {literal(column)} || '=''' || "
        f"left(CAST({quoted(column)} AS VARCHAR), 80) || '''' END"
        for column, one in sorted(casts.items())
        if one.wrong
    ]
    return f"nullif(concat_ws('; ', {', '.join(parts)}), '')" if parts else "CAST(NULL AS VARCHAR)"


def _check_types(
    rows: duckdb.DuckDBPyRelation,
    table: Table,
    casts: Mapping[str, Cast],
    types: Mapping[str, str],
    where: str,
) -> None:
    doubtful = [(column, one.wrong) for column, one in casts.items() if one.wrong]
    counts = [part for column, wrong in doubtful for part in (f"count({quoted(column)})", f"count(*) FILTER ({wrong})")]
    total, *found = rows.aggregate(", ".join(["count(*)", *counts])).fetchall()[0]
    if total == 0:
        raise SourceError(
            f"{where} no rows came. Check the file or the WHERE, or leave {table.name} out of the mapping. "
            f"Columns there: {', '.join(rows.columns)}."
        )
    for (column, wrong), given, bad in zip(doubtful, found[::2], found[1::2], strict=True):
        if bad > given * MAX_MALFORMED_SHARE:
            values = (
                rows.filter(wrong)
                .project(f"CAST({quoted(column)} AS VARCHAR) AS value")
                .distinct()
                .order("value")
                .limit(3)
            )
            examples = ", ".join(repr(value) for (value,) in values.fetchall())
            kind = table[column].kind
            raise SourceError(
                f"{where} {bad:,} of {given:,} values of {column} ({types[column]}) are no {kind}, "
                f"such as {examples}. {_HINTS[kind]} Columns there: {', '.join(rows.columns)}."
            )


def plain(name: str) -> str:
    """A column name without case, blanks and marks: `Customer ID` and `customer_id` become `customerid`."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _closest(column: str, table: Table, taken: list[str]) -> str | None:
    free = {plain(name): name for name in table.names if name not in taken}
    close = difflib.get_close_matches(plain(column), free, n=1, cutoff=0.6)
    return free[close[0]] if close else None


def _rename_hint(renames: Mapping[str, str]) -> str:
    if not renames:
        return ""
    return " Did you mean " + ", ".join(f"`{quoted(given)} AS {name}`" for given, name in renames.items()) + "?"
