"""Tables in files: CSV, Parquet and JSON in the folder `raw`, through DuckDB."""

import re
from collections.abc import Mapping
from pathlib import Path

import duckdb

from ecomine.errors import SourceError
from ecomine.sources.conform import literal, quoted

SUFFIXES = (".csv", ".tsv", ".txt", ".parquet", ".json", ".jsonl", ".ndjson")
_TEXT_FILE = re.compile(
    r"""(?:\bfrom|\bjoin|,)\s*(?P<quote>['"])(?P<name>[^'"\n]+\.(?:csv|tsv|txt|json|jsonl|ndjson)(?:\.gz)?)(?P=quote)""",
    re.IGNORECASE,
)


def land(
    connection: duckdb.DuckDBPyConnection, folder: Path, shown: str, select: str, landing: Path, where: str
) -> duckdb.DuckDBPyRelation:
    """What `select` gives over the files of `folder`, landed in a Parquet file in `landing`.

    File names in the SELECT are relative to `folder`, which errors call `shown`. Raises SourceError.
    """
    if not folder.is_dir():
        raise SourceError(
            f"{where} the folder {shown} is not there. Set `raw` in params.yaml to the folder of the files."
        )
    own = connection.cursor()
    target = landing / "rows.parquet"
    try:
        statements = own.extract_statements(select)
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise SourceError(f"{where} expected one SELECT, {len(statements)} statements came.")
        empty = [name for name in list_files(folder) if name in select and (folder / name).stat().st_size == 0]
        if empty:
            raise SourceError(f"{where} the file {empty[0]} is empty (0 bytes). {there(folder, shown)}")
        own.execute("SET TimeZone = 'UTC'")
        own.execute(f"SET file_search_path = {literal(folder.as_posix())}")
        for match in _TEXT_FILE.finditer(select):
            declare(own, folder, match["name"])
        own.sql(select).write_parquet(target.as_posix(), compression="snappy")
    except duckdb.Error as error:
        if target.as_posix() in str(error):  # the disk of the workspace, not the shop's files
            raise
        raise SourceError(f"{where} {explain(error, select, folder, shown)}") from error
    except (RuntimeError, UnicodeDecodeError) as error:  # what DuckDB raises for text it cannot decode
        raise SourceError(f"{where} {error}. {there(folder, shown)}") from error
    finally:
        own.close()
    return connection.read_parquet(target.as_posix())


def declare(connection: duckdb.DuckDBPyConnection, folder: Path, name: str) -> None:
    """Let `name` (a CSV or JSON file of `folder`, or a pattern) stand for its rows, typed by all of them.

    DuckDB types a text file by its first rows and stops at the first value that does not fit; typed by all
    rows, a column with one bad value is text, and only the bad row is refused later. Numbers with leading
    zeros stay text.
    """
    path = literal((folder / name).as_posix())
    if not any(folder.glob(name) if not name.startswith("/") else [Path(name)]):
        return
    if re.search(r"\.(json|jsonl|ndjson)(\.gz)?$", name, re.IGNORECASE):
        scan = f"read_json({path}, sample_size = -1)"
    elif re.search(r"[*?\[]", name):
        scan = f"read_csv({path}, sample_size = -1)"
        typed = connection.sql(f"SELECT * FROM {scan}")
        types = dict(zip(typed.columns, map(str, typed.types), strict=True))
        kept = _leading_zeros(connection, types, f"read_csv({path}, all_varchar = true)")
        if kept:
            scan = f"read_csv({path}, sample_size = -1, types = {_struct(dict.fromkeys(kept, 'VARCHAR'))})"
    else:
        scan = _csv(connection, path)
    connection.execute(f"CREATE OR REPLACE TEMP VIEW {quoted(name)} AS SELECT * FROM {scan}")


def _csv(connection: duckdb.DuckDBPyConnection, path: str) -> str:
    """The call of read_csv that one look at the whole file comes to, so that no later one has to look again."""
    sniffed = f"SELECT Prompt, Columns FROM sniff_csv({path}, sample_size = -1)"
    call, columns = connection.execute(sniffed).fetchall()[0]
    call = call.removeprefix("FROM ").removesuffix(";")
    before, after = call[: call.index("columns={")], call[call.rindex("}") + 1 :]
    types = {column["name"]: column["type"] for column in columns}
    as_text = f"{before}columns={_struct(dict.fromkeys(types, 'VARCHAR'))}{after}"
    kept = _leading_zeros(connection, types, as_text)
    return f"{before}columns={_struct(types | dict.fromkeys(kept, 'VARCHAR'))}{after}"


def _struct(types: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{literal(name)}: {literal(kind)}" for name, kind in types.items()) + "}"


def _leading_zeros(connection: duckdb.DuckDBPyConnection, types: Mapping[str, str], as_text: str) -> list[str]:
    """Columns typed as numbers of which a value begins with zeros, such as 007; `as_text` scans them as text."""
    numbers = [name for name, kind in types.items() if kind in ("BIGINT", "DOUBLE")]
    if not numbers:
        return []
    tests = ", ".join(
        f"coalesce(bool_or(regexp_matches({quoted(name)}, '^\\s*[-+]?0[0-9]')), false)" for name in numbers
    )
    rows = connection.execute(f"SELECT {tests} FROM {as_text}").fetchall()
    return [name for name, found in zip(numbers, rows[0], strict=True) if found]


def list_files(folder: Path) -> list[str]:
    """Names of the readable files under a folder, relative to it, sorted."""
    if not folder.is_dir():
        return []
    names = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return sorted(
        path.relative_to(folder).as_posix()
        for path in names
        if path.name.lower().removesuffix(".gz").endswith(SUFFIXES)
    )


def there(folder: Path, shown: str) -> str:
    names = list_files(folder)
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return f"Files in {shown}: {', '.join(names[:20]) + more if names else 'none that can be read'}."


def explain(error: duckdb.Error, select: str, folder: Path, shown: str) -> str:
    """What went wrong, with the files there and the columns of those that the SELECT names."""
    text = str(error).replace(folder.as_posix() + "/", "")
    first = re.split(r"\n\s*\n|\nLINE |\n\s*Possible solutions|\n\s*Candidate", text)[0].strip().rstrip(".!")
    first = " ".join(first.split())
    columns = "" if isinstance(error, duckdb.IOException) else _columns(select, folder)
    hint = ""
    if "unicode" in text.lower() or "utf-8" in text.lower() or "encoded" in text.lower():
        hint = " If the file is not UTF-8, name its encoding: FROM read_csv('…', encoding = 'latin-1')."
    elif isinstance(error, duckdb.BinderException) and "VARCHAR" in text:
        hint = " A column with a value that is no number is text; TRY_CAST(column AS DOUBLE) makes numbers."
    elif "magic bytes" in text or "too small to be a Parquet" in text:
        hint = " It is no Parquet file, or lost its end when it was copied: bring it again."
    return f"{first}.{hint} {there(folder, shown)}{columns}"


def _columns(select: str, folder: Path) -> str:
    lines = []
    for name in list_files(folder):
        if name not in select:
            continue
        try:
            with duckdb.connect() as connection:
                columns = connection.sql(f"SELECT * FROM {literal((folder / name).as_posix())}").columns
        except duckdb.Error:
            continue
        lines.append(f" Columns of {name}: {', '.join(columns)}.")
    return "".join(lines)
