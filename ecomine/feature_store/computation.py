"""From clean tables to feature tables: the expressions run on an engine, each result becomes one Parquet file."""

from collections.abc import Mapping
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import duckdb
import ibis

from ecomine.errors import FeatureError
from ecomine.feature_store.catalogue import FEATURE_TABLES
from ecomine.feature_store.declaration import CREATED_TIMESTAMP, EVENT_TIMESTAMP
from ecomine.feature_store.lines import known_lines
from ecomine.params import FeatureParams
from ecomine.store import write_relation

SOURCES = ("order_lines", "promotions")
"""The clean tables that features are made of."""

LINES = "features_lines"


def expressions(
    lines: ibis.Table, tables: Mapping[str, ibis.Table], as_of: datetime, params: FeatureParams
) -> dict[str, ibis.Table]:
    """Every feature table as an expression over the prepared `lines`, whatever engine will run it."""
    built = {name: table.build(lines, table, as_of, params, tables) for name, table in FEATURE_TABLES.items()}
    return {name: table.mutate(**{CREATED_TIMESTAMP: table[EVENT_TIMESTAMP]}) for name, table in built.items()}


def compute(
    connection: duckdb.DuckDBPyConnection,
    tables: Mapping[str, duckdb.DuckDBPyRelation],
    as_of: datetime,
    params: FeatureParams,
    folder: Path,
) -> dict[str, int]:
    """Write every feature table into `folder`, one Parquet file each, sorted; returns its rows by name.

    Raises FeatureError where there are no order lines to compute from.
    """
    if "order_lines" not in tables:
        raise FeatureError(
            f"Features need the table order_lines; this source has {', '.join(sorted(tables)) or 'none'}. "
            "Map it in params.yaml."
        )
    backend = ibis.duckdb.from_connection(connection)
    with ExitStack() as stack:
        sources = {}
        for name in SOURCES:
            if name in tables:
                view = f"features_{name}"
                tables[name].create_view(view, replace=True)
                stack.callback(connection.execute, f"DROP VIEW {view}")
                sources[name] = backend.table(view)
        prepared = ibis.to_sql(known_lines(sources["order_lines"], as_of, params), dialect="duckdb")
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {LINES} AS {prepared}")
        stack.callback(connection.execute, f"DROP TABLE {LINES}")
        lines = backend.table(LINES)
        rows = {}
        for name, expression in expressions(lines, sources, as_of, params).items():
            relation = connection.sql(ibis.to_sql(expression, dialect="duckdb"))
            order = ", ".join((*FEATURE_TABLES[name].keys, EVENT_TIMESTAMP))
            rows[name] = write_relation(folder / f"{name}.parquet", relation, order)
    return rows
