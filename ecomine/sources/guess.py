"""A first try at a mapping: which tables the files of a folder can give, by column names and values."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import duckdb

from ecomine.sources import files
from ecomine.sources.conform import cast, literal, plain, quoted
from ecomine.sources.names import EVENT_TYPES, FILES, NAMES, TIME_FORMATS
from ecomine.tables import TABLES, Column, Table


@dataclass(frozen=True)
class File:
    """A file that could be read: its columns with their DuckDB types."""

    name: str
    columns: Mapping[str, str]


@dataclass(frozen=True)
class Guess:
    """One canonical table: the SELECT that could give it, or null, and what there is to know about it."""

    table: str
    select: str | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Candidate:
    """A file that could be a table; among candidates the least rank is the likeliest."""

    table: Table
    file: File
    found: Mapping[str, str]
    named: bool

    @property
    def rank(self) -> tuple[bool, int, str, str]:
        return (not self.named, -len(self.found), self.file.name, self.table.name)


@dataclass
class Folder:
    """The files of a folder, read and unreadable, and a DuckDB in which their names resolve."""

    connection: duckdb.DuckDBPyConnection
    files: list[File] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)

    def share(self, file: File, expression: str, column: str) -> float:
        """The share of a column's values for which an SQL expression is not null; 0 where there are none."""
        sql = f"SELECT count({expression}), count({quoted(column)}) FROM {literal(file.name)}"
        good, given = self.connection.execute(sql).fetchall()[0]
        return float(good / given) if given else 0.0


def look(folder: Path) -> Folder:
    """Open every CSV, Parquet and JSON file under a folder."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"SET file_search_path = {literal(folder.as_posix())}")
    found = Folder(connection)
    for name in files.list_files(folder):
        try:
            if (folder / name).stat().st_size == 0:
                raise ValueError("empty, 0 bytes")
            if not name.endswith(".parquet"):
                files.declare(connection, folder, name)
            relation = connection.sql(f"SELECT * FROM {literal(name)}")
            if relation.limit(1).fetchall():
                types = map(str, relation.types)
                found.files.append(File(name, dict(zip(relation.columns, types, strict=True))))
            else:
                found.unreadable[name] = "no rows"
        except (duckdb.Error, ValueError, RuntimeError) as error:
            found.unreadable[name] = str(error).replace(f"{folder.as_posix()}/", "").splitlines()[0]
    return found


def guess(folder: Folder) -> list[Guess]:
    """A guess for each canonical table that some file gives or nearly gives, in the vocabulary's order."""
    guesses: dict[str, Guess] = {}
    orders: tuple[File, Mapping[str, str]] | None = None
    taken = set()
    candidates = [one for table in TABLES.values() for one in _candidates(folder, table)]
    for one in sorted(candidates, key=lambda one: one.rank):
        if one.file.name in taken:
            continue
        taken.add(one.file.name)
        if one.table.name in guesses:
            note = f"{one.file.name} could give it too; UNION ALL adds a second SELECT"
            earlier = guesses[one.table.name]
            guesses[one.table.name] = replace(earlier, notes=(*earlier.notes, note))
            continue
        guesses[one.table.name] = _whole(one.table, one.file, one.found)
        if one.table.name == "order_lines":
            orders = (one.file, one.found)
    if "order_lines" not in guesses and (joined := _joined(folder)):
        guesses["order_lines"] = joined
    if orders:
        for name, key in (("items", "item_id"), ("users", "user_id")):
            if name not in guesses:
                guesses[name] = _derived(folder, TABLES[name], key, *orders)
    for table in TABLES.values():
        if table.name not in guesses and (near := _near(folder, table)):
            guesses[table.name] = near
    return [guesses[name] for name in TABLES if name in guesses]


def matches(folder: Folder, table: Table, file: File) -> dict[str, str]:
    """Canonical columns of `table` that the file seems to hold, each with the SQL that gives it."""
    free = {plain(name): name for name in file.columns}
    found = {}
    for column in table.columns:
        for name in _names(table, column, file):
            if name in free and (expression := _expression(folder, file, column, free[name])):
                found[column.name] = expression
                del free[name]
                break
    price, quantity = "unit_price" in found, found.get("quantity")
    total = next((free[name] for name in NAMES["line_total"].split() if name in free), None)
    if table.name == "order_lines" and not price and quantity and total:
        found["unit_price"] = f"{quoted(total)} / nullif({quantity}, 0)"
    if (
        table.name == "events"
        and {"user_id", "event_timestamp", "event_type"} <= set(found)
        and "event_id" not in found
    ):
        parts = ", ".join(found[name] for name in table.names if name in found)
        found["event_id"] = f"md5(concat_ws('|', {parts}))"
    return found


def _names(table: Table, column: Column, file: File) -> Iterator[str]:
    yield plain(column.name)
    yield from NAMES.get(f"{table.name}.{column.name}", "").split()
    yield from NAMES.get(column.name, "").split()
    if column.name == table.key[0] and _is_named(file, table.name):
        yield "id"


def _is_named(file: File, table: str) -> bool:
    return any(word in file.name.rsplit("/")[-1].lower() for word in FILES[table].split())


def _expression(folder: Folder, file: File, column: Column, name: str) -> str | None:
    """SQL that gives a column's values in their canonical type, or null where most are something else."""
    given, x = file.columns[name], quoted(name)
    if column.kind in ("id", "text"):
        return _event_type(folder, file, name) if column.name == "event_type" else x
    if column.kind == "time" and given in ("BIGINT", "DOUBLE", "INTEGER"):
        low, high = folder.connection.execute(f"SELECT min({x}), max({x}) FROM {literal(file.name)}").fetchall()[0]
        for unit, scale in (("", 1), (" / 1000", 1000)):
            if low is not None and 3e8 * scale <= low and high <= 5e9 * scale:
                return f"to_timestamp({x}{unit})"
        return None
    options = [x]
    if given == "VARCHAR" and column.kind == "time":
        options += [f"strptime({x}, {literal(form)})" for form in TIME_FORMATS]
    if given == "VARCHAR" and column.kind in ("number", "count"):
        options += [f"replace({x}, ',', '.')", f"regexp_replace({x}, '[^0-9.-]', '', 'g')"]
    shares = []
    for option in options:
        inner = option.replace("strptime(", "try_strptime(")
        kind = "TIMESTAMP" if option.startswith("strptime(") else "VARCHAR" if option != x else given
        value = cast(column, "x", kind).value.replace(quoted("x"), f"({inner})")
        shares.append(folder.share(file, value, name))
        if shares[-1] == 1:
            break
    best = max(range(len(shares)), key=lambda index: (shares[index], -index))
    if shares[best] <= 0.5:
        return None
    chosen = options[best]
    return chosen.replace("strptime(", "try_strptime(") if shares[best] < 1 else chosen


def _event_type(folder: Folder, file: File, name: str) -> str:
    x = quoted(name)
    values = folder.connection.execute(
        f"SELECT DISTINCT lower(CAST({x} AS VARCHAR)) AS v FROM {literal(file.name)} "
        "WHERE v IS NOT NULL ORDER BY v LIMIT 50"
    ).fetchall()
    kinds = {word: kind for kind, words in EVENT_TYPES.items() for word in words.split()}
    renames = [(value, kinds[plain(value)]) for (value,) in values if plain(value) in kinds]
    cases = " ".join(f"WHEN {literal(value)} THEN {literal(kind)}" for value, kind in renames)
    return f"CASE lower({x}) {cases} ELSE lower({x}) END" if cases else x


def _candidates(folder: Folder, table: Table) -> Iterator[Candidate]:
    for file in folder.files:
        found = matches(folder, table, file)
        if not set(table.required) <= set(found):
            continue
        named = _is_named(file, table.name)
        if len(table.required) == 1 and not ((named and len(found) > 1) or _describes(folder, table, file, found)):
            continue
        yield Candidate(table, file, found, named)


def _describes(folder: Folder, table: Table, file: File, found: Mapping[str, str]) -> bool:
    """Whether each row is about another item or user, and says something about it."""
    key = found[table.key[0]]
    distinct, rows = folder.connection.execute(
        f"SELECT count(DISTINCT {key}), count(*) FROM {literal(file.name)}"
    ).fetchall()[0]
    return len(found) > 1 and distinct == rows


def _whole(table: Table, file: File, found: Mapping[str, str]) -> Guess:
    used = " ".join(found.values())
    absent = [name for name in table.names if name not in found]
    left = [name for name in file.columns if quoted(name) not in used]
    notes = [f"from {file.name}"]
    if absent:
        notes.append(f"not found there: {', '.join(absent)}")
    if left:
        notes.append(f"not used: {', '.join(left)}")
    return Guess(table.name, f"SELECT\n{_list(found)}\nFROM {literal(file.name)}", tuple(notes))


def _list(found: Mapping[str, str]) -> str:
    return ",\n".join(f"  {x}" if x == name else f"  {x} AS {name}" for name, x in found.items())


def _derived(folder: Folder, table: Table, key: str, file: File, lines: Mapping[str, str]) -> Guess:
    """Items or users as the order lines name them: each once, with what is most often said about it."""
    others = {name: x for name, x in matches(folder, table, file).items() if name != key and x not in lines.values()}
    ident, source = lines[key], literal(file.name)
    note = f"each {key} of {file.name}; no file of {table.name} was found"
    if not others:
        return Guess(table.name, f"SELECT DISTINCT {ident} AS {key}\nFROM {source}\nWHERE {ident} IS NOT NULL", (note,))
    picked = {key: key} | {name: f"arg_max({name}, (n, {name}))" for name in others}
    inner = ", ".join([f"{ident} AS {key}", *(f"{x} AS {name}" for name, x in others.items()), "count(*) AS n"])
    said = f"SELECT {inner}\n  FROM {source}\n  WHERE {ident} IS NOT NULL\n  GROUP BY ALL"
    select = f"SELECT\n{_list(picked)}\nFROM (\n  {said}\n)\nGROUP BY {key}"
    return Guess(table.name, select, (f"{note}; {', '.join(others)}: what is said most often",))


def _joined(folder: Folder) -> Guess | None:
    """Order lines from two files: lines, and heads that say whose order it was and when."""
    table = TABLES["order_lines"]
    all_found = [(file, matches(folder, table, file)) for file in folder.files]
    for lines, has in all_found:
        if not {"order_id", "item_id"} <= set(has):
            continue
        lacks = [name for name in table.required if name not in has]
        for heads, head in all_found:
            if heads is lines or "order_id" not in head or not set(lacks) <= set(head) or "item_id" in head:
                continue
            taken = {name: _qualified(x, lines, "l") for name, x in has.items()}
            taken |= {name: _qualified(x, heads, "o") for name, x in head.items() if name not in has}
            on = f"{_qualified(has['order_id'], lines, 'l')} = {_qualified(head['order_id'], heads, 'o')}"
            columns = {name: taken[name] for name in table.names if name in taken}
            tables = f"{literal(lines.name)} AS l\nJOIN {literal(heads.name)} AS o ON {on}"
            select = f"SELECT\n{_list(columns)}\nFROM {tables}"
            return Guess(table.name, select, (f"lines from {lines.name}, {', '.join(lacks)} from {heads.name}",))
    return None


def _qualified(expression: str, file: File, alias: str) -> str:
    pattern = "|".join(re.escape(quoted(name)) for name in sorted(file.columns, key=len, reverse=True))
    return re.sub(pattern, lambda match: f"{alias}.{match[0]}", expression)


def _near(folder: Folder, table: Table) -> Guess | None:
    """A file whose name says it is this table, but which lacks what the table needs."""
    for file in folder.files:
        if _is_named(file, table.name):
            found = matches(folder, table, file)
            lacks = [name for name in table.required if name not in found]
            if found and lacks:
                there = ", ".join(file.columns)
                return Guess(
                    table.name,
                    None,
                    (f"{file.name} comes close, but lacks {', '.join(lacks)}; columns there: {there}",),
                )
    return None
