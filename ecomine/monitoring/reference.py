"""What a version is compared with later: profiles of what it was trained and decided on, made when it is deployed.

    deployments/<domain>/references/<digest>/profiles.parquet   tables, features and scores: counts, no rows
                                             series.parquet     daily measures before as_of, since the last change
                                             past.parquet       what customers looked at and bought, by category
                                             about.json

It lies beside the versions, which never change. From then on monitoring needs no training data.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import duckdb
import pandas as pd

from ecomine import layout
from ecomine.deployment import bundle, trial
from ecomine.domain import EVENT_TIMESTAMP, Domain, Inputs
from ecomine.errors import EcomineError
from ecomine.monitoring import habits, profile, windows
from ecomine.monitoring.state import WINDOW, State
from ecomine.store import write_frame, write_json
from ecomine.tables import TABLES

if TYPE_CHECKING:
    from ecomine.stages import Context

FEATURES, SCORES, TABLE = "features", "scores", "table "
FORMAT = 1
MOST_LEVELS = 50
"""A text of more levels is a sentence or an id, whose shares mean nothing."""


@dataclass(frozen=True)
class Reference:
    """What there is of a version's reference.

    profiles: `features`, `scores` and `table NAME` → profile. series: columns signal, value, in order of time.
    matures_days: days after as_of when what was decided can be judged; None where that is not known.
    """

    profiles: Mapping[str, profile.Profile]
    series: pd.DataFrame
    past: pd.DataFrame
    matures_days: float | None


def folder(domain: str, digest: str) -> str:
    """Where the reference of a version lies in the workspace."""
    return f"{layout.REFERENCES.format(domain=domain)}/{digest}"


def keep(context: "Context", domain: Domain, digest: str) -> None:
    """Make the reference of a version, unless it is there."""
    store = context.store
    if store.exists(folder(domain.name, digest)):
        return
    model, version = bundle.load(store, domain, digest)
    with inputs_until(context, domain, version.as_of) as inputs:
        profiles = {
            name: profile.of_frame(frame)
            for name, frame in answers(context, domain, model, version, version.as_of).items()
        }
        profiles |= _table_profiles(context, domain, inputs)
        series = _series(context, domain, model, version, inputs)
        past = habits.history(inputs.connection, inputs.tables, version.as_of)
    rows = [profile.to_rows(columns, name) for name, columns in profiles.items()]
    with store.replacing(folder(domain.name, digest)) as path:
        path.mkdir()
        write_frame(path / "profiles.parquet", pd.concat(rows, ignore_index=True))
        write_frame(path / "series.parquet", series)
        write_frame(path / "past.parquet", past)
        write_json(path / "about.json", {"format": FORMAT, "matures_days": _matures(context, domain, version)})


def read(context: "Context", domain: Domain, digest: str) -> Reference:
    """The reference of a version; raises DamagedError where it cannot be read."""
    store, place = context.store, folder(domain.name, digest)
    rows = store.read_frame(f"{place}/profiles.parquet")
    return Reference(
        {str(name): profile.from_rows(part) for name, part in rows.groupby("table", sort=False)},
        store.read_frame(f"{place}/series.parquet"),
        store.read_frame(f"{place}/past.parquet"),
        matures_days(context, domain, digest),
    )


def matures_days(context: "Context", domain: Domain, digest: str) -> float | None:
    """Days after as_of when what a version decided can be judged; None where that is not known."""
    name = f"{folder(domain.name, digest)}/about.json"
    days: float | None = context.store.read_json(name, "matures_days")["matures_days"]
    return days


def answers(
    context: "Context", domain: Domain, model: Any, version: bundle.Bundle, moment: datetime
) -> dict[str, pd.DataFrame]:
    """Features of a sample of the entities that a version decided for, as known at `moment`, and its scores for them.

    The rows are those that serving asks for, moved in time; empty where the features of a version are no more.
    """
    from ecomine import feature_store

    keys = trial.entities(domain, version, context.params.monitoring.entities, context.params.seed)
    rows = domain.request(model, keys)
    if rows.empty:
        return {}
    rows = rows.assign(**{EVENT_TIMESTAMP: rows[EVENT_TIMESTAMP] + (moment - version.as_of)})
    try:
        frame = feature_store.point_in_time(context.store.workspace, rows, version.service)
        decisions = domain.decide(model, frame, version.params)
    except (EcomineError, LookupError, TypeError, ValueError) as error:
        context.say(f"{domain.name}: features and scores are not watched: {type(error).__name__}: {error}")
        return {}
    return {
        FEATURES: frame[[name for name in version.features if name in frame]],
        SCORES: decisions[
            [name for name in domain.decision_columns if name in decisions and _is_score(decisions[name])]
        ],
    }


def window_rows(
    connection: duckdb.DuckDBPyConnection, tables: Mapping[str, duckdb.DuckDBPyRelation], name: str,
    after: datetime, until: datetime,
) -> duckdb.DuckDBPyRelation | None:  # fmt: skip
    """What is watched of a table's rows in (after, until]: numbers, flags, kinds, and the product's category."""
    table, relation = TABLES[name], tables[name]
    if table.time is None:
        return None
    columns = [
        column.name
        for column in table.columns
        if column.name in relation.columns and column.name not in table.key
        and column.kind not in ("id", "time") and not column.personal
    ]  # fmt: skip
    items, joined = tables.get("items"), ""
    chosen = ", ".join(f'"{column}"' for column in columns)
    if items is not None and "item_id" in relation.columns and "category" in items.columns:
        items.create_view("watched_items", replace=True)
        chosen += ", category"
        joined = (
            "LEFT JOIN (SELECT item_id, any_value(split_part(category, ' > ', 1)) AS category FROM watched_items "
            "GROUP BY 1) USING (item_id)"
        )
    if not chosen:
        return None
    relation.create_view("watched_rows", replace=True)
    return connection.sql(
        f"SELECT {chosen.removeprefix(', ')} FROM watched_rows {joined} "
        f"WHERE {table.time} > TIMESTAMP '{after}' AND {table.time} <= TIMESTAMP '{until}'"
    )


def watched_tables(domain: Domain, inputs: Inputs) -> list[str]:
    """Names of the tables that a domain learns from and that tell what people did, in its order.

    Prices, promotions and stock are the shop's own doing, and move as it pleases.
    """
    return [
        name
        for name in (*domain.requires, *domain.improves)
        if name in inputs.tables and TABLES[name].time and "user_id" in TABLES[name].names
    ]


@contextmanager
def inputs_until(context: "Context", domain: Domain, moment: datetime) -> Iterator[Inputs]:
    """What a domain could see at `moment`: no row of a table that has a time is later."""
    with context.connection() as connection:
        inputs = context.inputs(connection, domain)
        tables = {}
        for name, relation in inputs.tables.items():
            time = TABLES[name].time
            tables[name] = relation.filter(f"{time} <= TIMESTAMP '{moment}'") if time else relation
        yield dataclasses.replace(inputs, tables=tables, as_of=moment)


def _table_profiles(context: "Context", domain: Domain, inputs: Inputs) -> dict[str, profile.Profile]:
    settings = context.params.monitoring
    found = {}
    changed = _changed(context, domain, inputs.as_of)
    for name in watched_tables(domain, inputs):
        after = inputs.as_of - timedelta(days=settings.reference_days)
        after = max(after, changed.get(name, after))
        rows = window_rows(inputs.connection, inputs.tables, name, after, inputs.as_of)
        if rows is not None:
            columns = profile.of_frame(rows.df())
            if columns and next(iter(columns.values())).rows >= settings.min_rows:
                found[TABLE + name] = columns
    return found


def _changed(context: "Context", domain: Domain, as_of: datetime) -> dict[str, datetime]:
    """Since when the rows of a table have been other ones, where an alarm about them is up: table → moment."""
    settings = context.params.monitoring
    seen: dict[str, list[tuple[datetime, bool]]] = {}
    for line in State(context.store).lines():
        if line["kind"] == WINDOW and line["domain"] == domain.name and line["window"] <= as_of.isoformat():
            for signal in line["signals"]:
                if signal["reason"] == "tables":
                    seen.setdefault(signal["name"], []).append((datetime.fromisoformat(line["window"]), signal["bad"]))
    found = {}
    for name, ends in seen.items():
        last = ends[-settings.windows :]
        if windows.raised([bad for _, bad in last], settings.bad_windows, settings.windows):
            first = next(end for end, bad in last if bad)
            found[name] = first - timedelta(days=settings.window_days)
    return found


def _series(context: "Context", domain: Domain, model: Any, version: bundle.Bundle, inputs: Inputs) -> pd.DataFrame:
    """Daily measures before as_of, of what was not learned from: columns signal, value."""
    settings, as_of = context.params.monitoring, version.as_of
    start = as_of - timedelta(days=settings.reference_days)
    past = habits.history(inputs.connection, inputs.tables, start)
    parts = [habits.told(inputs.connection, inputs.tables, past, start, as_of, settings.window_days)]
    test = _test_rows(context, domain, version)
    if domain.watch is not None and test is not None and len(test):
        cutoff = test[EVENT_TIMESTAMP].min().to_pydatetime()
        lists = domain.decide(model, test, version.params)
        seen = domain.watch.measure(lists, inputs, cutoff, as_of, settings.window_days)
        parts.append(seen.assign(signal=domain.watch.metric))
    rows = pd.concat(parts, ignore_index=True)
    rows = rows[rows["rows"] >= settings.min_rows].sort_values(["signal", "window"], ignore_index=True)
    kept = []
    for _, part in rows.groupby("signal", sort=True):
        first = windows.since_change(
            part["value"].tolist(), settings.deviations, settings.bad_windows, settings.windows
        )
        kept.append(part.iloc[first:])
    columns = ["signal", "value"]
    return pd.concat(kept, ignore_index=True)[columns] if kept else pd.DataFrame(columns=columns)


def _test_rows(context: "Context", domain: Domain, version: bundle.Bundle) -> pd.DataFrame | None:
    """The test rows that the version was judged by; None where they have made way for others."""
    name = f"{layout.FRAMES.format(domain=domain.name)}/test.parquet"
    known = version.lineage.get("frames", {}).get("test")
    if not context.store.exists(name) or bundle.sha256(context.store.path(name)) != known:
        return None
    return context.store.read_frame(name)


def _matures(context: "Context", domain: Domain, version: bundle.Bundle) -> float | None:
    test = _test_rows(context, domain, version)
    if test is None or test.empty:
        return None
    return float((version.as_of - test[EVENT_TIMESTAMP].min()).total_seconds() / 86400)


def _is_score(values: "pd.Series[Any]") -> bool:
    if str(values.name).endswith("_id") or pd.api.types.is_datetime64_any_dtype(values):
        return False
    if pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        return True
    return bool(values.map(type).eq(str).any()) and int(values.astype(str).nunique()) <= MOST_LEVELS
