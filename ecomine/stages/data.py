"""The stages that all domains share: from raw tables to features, offline and online."""

from typing import Any

from ecomine import layout
from ecomine.engine import SPARK, check_kind
from ecomine.errors import DamagedError, MissingInputError, SourceError, StreamingError
from ecomine.stages.context import Context
from ecomine.store import write_json, write_relation
from ecomine.tables import TABLES


def ingest(context: Context) -> None:
    from ecomine import streaming
    from ecomine.sources import read, verdicts

    workspace = context.store.workspace
    try:
        streaming.land(workspace)
    except StreamingError as error:  # the shop's tables do not wait for a server that is away
        context.say(f"new events are left for the next time: {error}")
    streamed = streaming.landed(workspace)
    rows: dict[str, int] = {}
    with (
        context.connection() as connection,
        context.store.replacing(layout.INGEST_REPORT) as report,
        context.store.replacing(layout.CANONICAL) as folder,
    ):
        folder.mkdir()
        tables = read(connection, context.params, workspace)
        for name, relation in streaming.united(connection, workspace, tables):
            path = folder / f"{name}.parquet"
            if name == verdicts.TABLE:
                relation = verdicts.applied(connection, relation, context.store.path(context.params.raw))
            rows[name] = write_relation(path, relation, ", ".join(f'"{c}"' for c in relation.columns))
            context.say(f"{name}: {rows[name]:,} rows read")
        context.say(f"not in this source: {', '.join(name for name in TABLES if name not in rows) or 'nothing'}")
        about = {"source": context.params.source, "rows": rows}
        write_json(report, about | ({"streamed": streamed} if streamed else {}))


def clean(context: Context) -> None:
    from ecomine import cleaning

    context.store.require(layout.CANONICAL, "ingest")
    tables: dict[str, Any] = {}
    with (
        context.connection() as connection,
        context.store.replacing(layout.CLEAN_REPORT) as report,
        context.store.replacing(layout.CLEAN) as clean_folder,
        context.store.replacing(layout.QUARANTINE) as refused_folder,
    ):
        clean_folder.mkdir()
        refused_folder.mkdir()
        dirty = context.store.relations(connection, layout.CANONICAL)
        strange = [name for name in dirty if name not in TABLES]
        if strange:
            raise SourceError(
                f"{layout.CANONICAL}/{strange[0]}.parquet is no canonical table. Take it away, or run "
                "`ecomine stage ingest`, which makes the folder anew; a shop's own files belong into `raw`."
            )
        as_of = cleaning.resolve_as_of(dirty, context.params)
        for name in dirty:
            result = cleaning.clean(connection, TABLES[name], dirty, context.params.cleaning, as_of)
            result.write(clean_folder / f"{name}.parquet", refused_folder / f"{name}.parquet")
            counts = result.counts()
            tables[name] = counts
            context.say(f"{name}: {counts['clean']:,} rows clean, {counts['refused']:,} refused")
        write_json(report, {"tables": tables, "as_of": as_of})


def validate(context: Context) -> None:
    from ecomine import quality

    context.store.require(layout.CLEAN, "clean")
    last = _last_volumes(context)
    with context.connection() as connection:
        tables = context.store.relations(connection, layout.CLEAN)
        results = quality.validate(
            tables, context.store.path(layout.SUITES), context.as_of, context.params, context.store.path(layout.DOCS)
        )
        volumes = {name: relation.count("*").fetchall()[0][0] for name, relation in tables.items()}
    context.store.write_json(layout.VALIDATION, results)
    for warning in [*quality.warnings(results), *quality.volume_warnings(volumes, last, context.params.quality)]:
        context.say(warning)
    quality.raise_on_critical(results, context.store.path(layout.DOCS))
    context.store.write_json(layout.VOLUMES, volumes)


def _last_volumes(context: Context) -> dict[str, int]:
    """Rows by table at the last run; none where that is not known, since no run must wait for it."""
    if not context.store.exists(layout.VOLUMES):
        return {}
    try:
        return dict(context.store.read_json(layout.VOLUMES))
    except (DamagedError, TypeError, ValueError):
        context.say(f"{layout.VOLUMES} cannot be read and is begun anew; this run is compared with no earlier one")
        return {}


def features(context: Context) -> None:
    from ecomine import feature_store, quality

    context.store.require(layout.VALIDATION, "validate")
    verdict = context.store.read_json(layout.VALIDATION, "tables")
    cleaned = context.store.read_json(layout.CLEAN_REPORT, "tables")
    judged = {name: table["rows"] for name, table in verdict["tables"].items()}
    if judged != {name: table["clean"] for name, table in cleaned["tables"].items()}:
        raise MissingInputError(
            f"{layout.VALIDATION} is about other tables than those in {layout.CLEAN}; run `ecomine stage validate`."
        )
    quality.raise_on_critical(verdict, context.store.path(layout.DOCS))
    with (
        context.connection() as connection,
        context.store.replacing(layout.FEATURE_REPORT) as report,
        context.store.replacing(layout.FEATURES) as folder,
    ):
        folder.mkdir()
        settings, domains = context.params.features, context.params.domains
        if check_kind(context.params.engine) == SPARK:
            from ecomine.feature_store.spark import compute_on_spark

            clean = context.store.path(layout.CLEAN)
            files = {name: clean / f"{name}.parquet" for name in context.store.tables(layout.CLEAN)}
            rows = compute_on_spark(
                connection, files, context.as_of, settings, context.params.engine, folder, domains, context.say
            )
        else:
            relations = context.store.relations(connection, layout.CLEAN)
            memory = context.store.path(layout.INCREMENTS)
            rows = feature_store.compute(
                connection, relations, context.as_of, settings, folder, domains, memory, context.say
            )
        for name, count in rows.items():
            context.say(f"{name}: {count:,} feature rows")
        write_json(report, {"rows": rows})


def materialize(context: Context) -> None:
    from ecomine import feature_store

    context.store.require(layout.FEATURES, "features")
    with context.store.replacing(layout.ONLINE) as folder:
        folder.mkdir()
        rows = feature_store.materialize(context.store.workspace, folder, context.as_of)
    context.say(f"online store: {sum(rows.values()):,} entities")
