"""PIPELINE: the one table of stages.

Each stage says what it does, what it reads and writes and which parameters and code it depends on. `dvc.yaml` runs a stage as
`ecomine stage NAME [DOMAIN]`; the Prefect flows call `run` for the same stages in one process. A name with `{domain}`
stands for one name a domain. A stage that is not `tracked` changes the world (it deploys) and makes no artifact, so
DVC does not know it: an experiment never deploys.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from ecomine import params as settings
from ecomine.domain import Domain, Inputs
from ecomine.domains import DOMAINS
from ecomine.engine import connect
from ecomine.errors import GateError, SettingsError
from ecomine.params import Params
from ecomine.store import Store, write_frame, write_json, write_relation
from ecomine.tables import TABLES

CANONICAL = "data/canonical"
CLEAN = "data/clean"
QUARANTINE = "data/quarantine"
FEATURES = "data/features"
ONLINE = "data/online"
FRAMES = "data/frames/{domain}"
MODEL = "models/{domain}"
PROPOSALS = "data/proposals/{domain}.parquet"
DECISIONS = "decisions/{domain}.parquet"
INGEST_REPORT = "metrics/ingest.json"
CLEAN_REPORT = "metrics/clean.json"
VALIDATION = "metrics/validate.json"
FEATURE_REPORT = "metrics/features.json"
METRICS = "metrics/{domain}.json"
GATE = "metrics/{domain}.gate.json"
PLOTS = "metrics/{domain}"
DOCS = "reports/validation"
VOLUMES = "reports/volumes.json"


@dataclass(frozen=True)
class Context:
    """What a stage works with: the files and settings of one workspace, and where it tells how it goes."""

    store: Store
    params: Params
    say: Callable[[str], None] = lambda text: None

    @classmethod
    def of(cls, workspace: Path, say: Callable[[str], None] = lambda text: None) -> "Context":
        """The context of a workspace folder; raises SettingsError where its params.yaml cannot be used."""
        return cls(Store(workspace), load_params(workspace), say)

    @property
    def as_of(self) -> datetime:
        self.store.require(CLEAN_REPORT, "clean")
        return datetime.fromisoformat(self.store.read_json(CLEAN_REPORT)["as_of"])

    @contextmanager
    def connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with connect(self.params.engine, self.store.path("data/.spill")) as connection:
            yield connection

    def inputs(self, connection: duckdb.DuckDBPyConnection, domain: Domain) -> Inputs:
        self.store.require(CLEAN, "clean")
        return Inputs(
            connection,
            self.store.relations(connection, CLEAN),
            self.as_of,
            self.params.sections[domain.name],
            self.params.seed,
            self.params.engine.threads,
        )


@dataclass(frozen=True)
class Stage:
    """One row of the table."""

    name: str
    does: str
    run: Callable[..., None]
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    params: tuple[str, ...]
    code: tuple[str, ...] = ()
    per_domain: bool = False
    tracked: bool = True

    def resolve(self, names: Iterable[str], domain: str | None) -> tuple[str, ...]:
        return tuple(name.format(domain=domain) for name in names)


def load_params(workspace: Path) -> Params:
    """The settings of a workspace."""
    return settings.load(workspace / settings.FILE, {name: domain.params for name, domain in DOMAINS.items()})


def ingest(context: Context) -> None:
    from ecomine.sources import read

    rows: dict[str, int] = {}
    with context.connection() as connection, context.store.replacing(CANONICAL) as folder:
        folder.mkdir()
        for name, relation in read(connection, context.params, context.store.workspace):
            path = folder / f"{name}.parquet"
            rows[name] = write_relation(path, relation, ", ".join(f'"{c}"' for c in relation.columns))
            context.say(f"{name}: {rows[name]:,} rows read")
    context.say(f"not in this source: {', '.join(name for name in TABLES if name not in rows) or 'nothing'}")
    context.store.write_json(INGEST_REPORT, {"source": context.params.source, "rows": rows})


def clean(context: Context) -> None:
    from ecomine import cleaning

    context.store.require(CANONICAL, "ingest")
    report: dict[str, Any] = {"tables": {}}
    with (
        context.connection() as connection,
        context.store.replacing(CLEAN) as clean_folder,
        context.store.replacing(QUARANTINE) as refused_folder,
    ):
        clean_folder.mkdir()
        refused_folder.mkdir()
        dirty = context.store.relations(connection, CANONICAL)
        as_of = cleaning.resolve_as_of(dirty, context.params)
        for name in dirty:
            result = cleaning.clean(connection, TABLES[name], dirty, context.params.cleaning, as_of)
            result.write(clean_folder / f"{name}.parquet", refused_folder / f"{name}.parquet")
            counts = result.counts()
            report["tables"][name] = counts
            context.say(f"{name}: {counts['clean']:,} rows clean, {counts['refused']:,} refused")
    context.store.write_json(CLEAN_REPORT, {**report, "as_of": as_of})


def validate(context: Context) -> None:
    from ecomine import quality

    context.store.require(CLEAN, "clean")
    last = context.store.read_json(VOLUMES) if context.store.exists(VOLUMES) else {}
    with context.connection() as connection:
        tables = context.store.relations(connection, CLEAN)
        results = quality.validate(
            tables, suites(context.store.workspace), context.as_of, context.params, context.store.path(DOCS)
        )
        volumes = {name: relation.count("*").fetchall()[0][0] for name, relation in tables.items()}
    context.store.write_json(VALIDATION, results)
    for warning in [*quality.warnings(results), *quality.volume_warnings(volumes, last, context.params.quality)]:
        context.say(warning)
    quality.raise_on_critical(results, context.store.path(DOCS))
    context.store.write_json(VOLUMES, volumes)


def features(context: Context) -> None:
    from ecomine import feature_store

    context.store.require(CLEAN, "clean")
    with context.connection() as connection, context.store.replacing(FEATURES) as folder:
        folder.mkdir()
        rows = feature_store.compute(
            connection, context.store.relations(connection, CLEAN), context.as_of, context.params.features, folder
        )
    for name, count in rows.items():
        context.say(f"{name}: {count:,} feature rows")
    context.store.write_json(FEATURE_REPORT, {"rows": rows})


def materialize(context: Context) -> None:
    from ecomine import feature_store

    context.store.require(FEATURES, "features")
    with context.store.replacing(ONLINE) as folder:
        folder.mkdir()
        rows = feature_store.materialize(context.store.workspace, folder, context.as_of)
    context.say(f"online store: {sum(rows.values()):,} entities")


def frames(context: Context, domain: Domain) -> None:
    from ecomine import feature_store

    context.store.require(FEATURES, "features")
    with context.connection() as connection:
        inputs = context.inputs(connection, domain)
        for line in inputs.without(domain):
            context.say(line)
        rows = domain.label(inputs)
    with context.store.replacing(FRAMES.format(domain=domain.name)) as folder:
        folder.mkdir()
        for name, part in (("train", rows.train), ("test", rows.test)):
            frame = feature_store.point_in_time(context.store.workspace, part, domain.service)
            write_frame(folder / f"{name}.parquet", frame)
            context.say(f"{domain.name}: {len(frame):,} {name} rows of {frame.shape[1]} columns")
        write_frame(folder / "truth.parquet", rows.truth)


def train(context: Context, domain: Domain) -> None:
    folder = FRAMES.format(domain=domain.name)
    context.store.require(folder, f"frames {domain.name}")
    with context.connection() as connection:
        model = domain.fit(context.store.read_frame(f"{folder}/train.parquet"), context.inputs(connection, domain))
    with context.store.replacing(MODEL.format(domain=domain.name)) as path:
        path.mkdir()
        model.save(path)
    context.say(f"{domain.name}: model trained")


def evaluate(context: Context, domain: Domain) -> None:
    folder, name = FRAMES.format(domain=domain.name), domain.name
    context.store.require(MODEL.format(domain=name), f"train {name}")
    result = domain.evaluate(
        domain.load(context.store.path(MODEL.format(domain=name))),
        context.store.read_frame(f"{folder}/test.parquet"),
        context.store.read_frame(f"{folder}/truth.parquet"),
        context.params.sections[name],
    )
    with context.store.replacing(PLOTS.format(domain=name)) as path:
        path.mkdir()
        write_frame(path / "values.parquet", result.values)
        for plot, frame in result.plots.items():
            frame.to_csv(path / f"{plot}.csv", index=False)
    context.store.write_json(METRICS.format(domain=name), result.metrics)
    context.say(f"{name}: evaluated on {len(result.values):,} units")


def decide(context: Context, domain: Domain) -> None:
    """Proposals: decisions of the candidate at as_of, from features read point in time. Deployment publishes them."""
    from ecomine import feature_store

    name = domain.name
    context.store.require(MODEL.format(domain=name), f"train {name}")
    model = domain.load(context.store.path(MODEL.format(domain=name)))
    requests = domain.request(model, None)
    frame = feature_store.point_in_time(context.store.workspace, requests, domain.service)
    proposals = domain.decide(model, frame, context.params.sections[name])
    context.store.write_frame(PROPOSALS.format(domain=name), proposals)
    context.say(f"{name}: {len(proposals):,} decisions proposed")


def gate(context: Context, domain: Domain) -> None:
    from ecomine import feature_store, gates

    name = domain.name
    plots = PLOTS.format(domain=name)
    context.store.require(plots, f"evaluate {name}")
    folder = context.store.path(MODEL.format(domain=name))
    model = domain.load(folder)
    context.store.require(PROPOSALS.format(domain=name), f"decide {name}")
    proposals = context.store.read_frame(PROPOSALS.format(domain=name))
    with context.connection() as connection:
        checks = [
            *gates.value_checks(context.store.read_frame(f"{plots}/values.parquet"), context.params.gate, context.params.seed),
            *domain.check(model, proposals, context.inputs(connection, domain)),
        ]
    requests = domain.request(model, None)
    sample = gates.sample(requests, domain.entity, context.params.gate.equality_sample, context.params.seed)
    differences = feature_store.differences(context.store.workspace, sample, domain.service)
    checks += [gates.equality_check(len(sample), differences), gates.size_check(folder, context.params.gate)]
    context.store.write_json(GATE.format(domain=name), gates.report(checks))
    for check in checks:
        context.say(f"{name}: {'passed' if check.passed else 'FAILED'} {check.name}: {check.why}")


def deploy(context: Context, domain: Domain, force: bool = False) -> None:
    from ecomine import deployment

    name = domain.name
    context.store.require(GATE.format(domain=name), f"gate {name}")
    failed = [check for check in context.store.read_json(GATE.format(domain=name))["checks"] if not check["passed"]]
    if failed:
        raise GateError(
            f"{name}: the candidate is not deployed; "
            + "; ".join(f"{check['name']}: {check['why']}" for check in failed)
        )
    digest = deployment.promote(context, domain, force)
    context.say(f"{name}: {digest[:12]} is deployed")


PIPELINE: tuple[Stage, ...] = (
    Stage(
        "ingest",
        "read the source's tables into canonical tables",
        ingest,
        reads=("{raw}",),
        writes=(CANONICAL, INGEST_REPORT),
        params=("source", "sql"),
        code=("ecomine/sources", "ecomine/tables.py"),
    ),
    Stage(
        "clean",
        "refuse rows that cannot be true, each with a reason",
        clean,
        reads=(CANONICAL,),
        writes=(CLEAN, QUARANTINE, CLEAN_REPORT),
        params=("as_of", "cleaning"),
        code=("ecomine/cleaning", "ecomine/tables.py"),
    ),
    Stage(
        "validate",
        "hold the clean tables against their expectations",
        validate,
        reads=(CLEAN, CLEAN_REPORT, "expectations"),
        writes=(VALIDATION,),
        params=("quality",),
        code=("ecomine/quality.py",),
    ),
    Stage(
        "features",
        "compute the feature tables",
        features,
        reads=(CLEAN, CLEAN_REPORT, VALIDATION),
        writes=(FEATURES, FEATURE_REPORT),
        params=("features",),
        code=("ecomine/feature_store",),
    ),
    Stage(
        "materialize",
        "load the newest features into the online store",
        materialize,
        reads=(FEATURES, CLEAN_REPORT, "features"),
        writes=(ONLINE,),
        params=("features",),
        code=("ecomine/feature_store",),
    ),
    Stage(
        "frames",
        "label rows and join their features, point in time",
        frames,
        reads=(CLEAN, CLEAN_REPORT, FEATURES, "features"),
        writes=(FRAMES,),
        params=("{domain}", "seed"),
        code=("ecomine/{domain}", "ecomine/feature_store"),
        per_domain=True,
    ),
    Stage(
        "train",
        "fit the candidate",
        train,
        reads=(FRAMES, CLEAN, CLEAN_REPORT),
        writes=(MODEL,),
        params=("{domain}", "seed", "engine"),
        code=("ecomine/{domain}",),
        per_domain=True,
    ),
    Stage(
        "evaluate",
        "measure the candidate and its baselines on a later stretch of time",
        evaluate,
        reads=(FRAMES, MODEL),
        writes=(METRICS, PLOTS),
        params=("{domain}",),
        code=("ecomine/{domain}", "ecomine/metrics.py"),
        per_domain=True,
    ),
    Stage(
        "decide",
        "propose a decision for everybody with the candidate",
        decide,
        reads=(MODEL, FEATURES, "features"),
        writes=(PROPOSALS,),
        params=("{domain}",),
        code=("ecomine/{domain}", "ecomine/feature_store"),
        per_domain=True,
    ),
    Stage(
        "gate",
        "check whether the candidate may be deployed",
        gate,
        reads=(MODEL, PLOTS, PROPOSALS, CLEAN, FEATURES, ONLINE),
        writes=(GATE,),
        params=("{domain}", "gate", "seed"),
        code=("ecomine/{domain}", "ecomine/gates.py"),
        per_domain=True,
    ),
    Stage(
        "deploy",
        "put the candidate in the champion's place and publish its decisions",
        deploy,
        reads=(MODEL, METRICS, GATE, PROPOSALS, ONLINE),
        writes=(DECISIONS,),
        params=("gate",),
        per_domain=True,
        tracked=False,
    ),
)

STAGES: Mapping[str, Stage] = {stage.name: stage for stage in PIPELINE}


def steps(domains: Iterable[str]) -> list[tuple[Stage, str | None]]:
    """Every stage in running order, those of a domain once for each of `domains`."""
    shared: list[tuple[Stage, str | None]] = [(stage, None) for stage in PIPELINE if not stage.per_domain]
    return shared + [(stage, domain) for domain in domains for stage in PIPELINE if stage.per_domain]


def run(name: str, domain: str | None, context: Context) -> None:
    """Run one stage; raises SettingsError for a stage or a domain that does not exist."""
    if name not in STAGES:
        raise SettingsError(f"There is no stage {name!r}; the stages are {', '.join(STAGES)}.")
    stage = STAGES[name]
    if not stage.per_domain:
        if domain is not None:
            raise SettingsError(f"The stage {name} is for all domains at once; leave out {domain!r}.")
        stage.run(context)
        return
    if domain not in DOMAINS:
        raise SettingsError(f"The stage {name} needs a domain; {domain!r} is none of {', '.join(DOMAINS)}.")
    stage.run(context, DOMAINS[domain])


def suites(workspace: Path) -> Path:
    """The folder of expectation suites: the workspace's own."""
    return workspace / "expectations"
