"""The moment a run stands at: nothing after it is seen."""

from collections.abc import Mapping
from datetime import datetime

import duckdb

from ecomine.errors import SettingsError, SourceError
from ecomine.params import Params
from ecomine.tables import TABLES

BUSY_SHARE = 0.05
"""A day counts from this share of the median day's rows, so that a lone wrong date moves nothing."""

BUSY_WEEK = 0.5
"""Neither do a few wrong dates of one day, for the week that ends with it must have this share of such a day."""


def resolve_as_of(dirty: Mapping[str, duckdb.DuckDBPyRelation], params: Params) -> datetime:
    """`params.as_of`, or for `latest` the midnight after the last busy day of the source, UTC without a zone.

    Looks at order_lines, else events, else the largest table with a time. Raises SettingsError for any other
    text and SourceError where no table has a time to go by.
    """
    if isinstance(params.as_of, datetime):
        return params.as_of
    if params.as_of != "latest":
        raise SettingsError(
            f"params.yaml: `as_of` is {params.as_of!r}; expected `latest` or a time such as 2024-05-31."
        )
    timed = [name for name in dirty if TABLES[name].time]
    by_size = sorted(timed, key=lambda name: (-_count(dirty[name]), name))
    for name in dict.fromkeys([*(first for first in ("order_lines", "events") if first in timed), *by_size]):
        moment = _end_of_last_busy_day(dirty[name], str(TABLES[name].time))
        if moment is not None:
            return moment
    raise SourceError(
        "`as_of: latest` needs a table with times; this source has "
        f"{', '.join(sorted(dirty)) or 'no table'}. "
        "Set `as_of` in params.yaml to a time, or map a table that has one."
    )


def _count(relation: duckdb.DuckDBPyRelation) -> int:
    return int(relation.count("*").fetchall()[0][0])


def _end_of_last_busy_day(relation: duckdb.DuckDBPyRelation, time: str) -> datetime | None:
    query = f"""
        WITH days AS (
            SELECT date_trunc('day', "{time}") AS day, count(*) AS rows
            FROM source WHERE isfinite("{time}") GROUP BY ALL
        ), weeks AS (
            SELECT *, median(rows) OVER () AS usual,
                sum(rows) OVER (ORDER BY day RANGE INTERVAL 6 DAYS PRECEDING) AS week
            FROM days
        )
        SELECT CAST(max(day) + INTERVAL 1 DAY AS TIMESTAMP)
        FROM weeks WHERE rows >= {BUSY_SHARE} * usual AND week >= {BUSY_WEEK} * usual
    """
    moment = relation.query("source", query).fetchall()[0][0]
    return moment if isinstance(moment, datetime) else None
