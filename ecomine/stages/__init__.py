"""PIPELINE: the one table of stages.

Each stage says what it does, what it reads and writes and which parameters and code it depends on. `dvc.yaml` runs a
stage as `ecomine stage NAME [DOMAIN]`; the Prefect flows call `run` for the same stages in one process. A name with
`{domain}` stands for one name a domain. A stage that is not `tracked` changes the world (it deploys), so DVC does not
know it: an experiment never deploys.
"""

import shutil
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import duckdb

from ecomine import layout
from ecomine.domain import Domain
from ecomine.domains import DOMAINS
from ecomine.errors import EcomineError, SettingsError
from ecomine.stages import data, learning, reporting
from ecomine.stages.context import Context, load_params

__all__ = ["PIPELINE", "STAGES", "Context", "Stage", "load_params", "run", "steps"]


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


PIPELINE: tuple[Stage, ...] = (
    Stage(
        "ingest",
        "read the source's tables into canonical tables",
        data.ingest,
        reads=("{raw}",),
        writes=(layout.CANONICAL, layout.INGEST_REPORT),
        params=("source", "sql"),
        code=("ecomine/sources", "ecomine/streaming/landing.py", "ecomine/tables.py"),
    ),
    Stage(
        "clean",
        "refuse rows that cannot be true, each with a reason",
        data.clean,
        reads=(layout.CANONICAL,),
        writes=(layout.CLEAN, layout.QUARANTINE, layout.CLEAN_REPORT),
        params=("as_of", "cleaning"),
        code=("ecomine/cleaning", "ecomine/tables.py"),
    ),
    Stage(
        "validate",
        "hold the clean tables against their expectations",
        data.validate,
        reads=(layout.CLEAN, layout.CLEAN_REPORT, layout.SUITES),
        writes=(layout.VALIDATION,),
        params=("quality",),
        code=("ecomine/quality.py",),
    ),
    Stage(
        "features",
        "compute the feature tables",
        data.features,
        reads=(layout.CLEAN, layout.CLEAN_REPORT, layout.VALIDATION),
        writes=(layout.FEATURES, layout.FEATURE_REPORT),
        params=("features", "domains"),
        code=("ecomine/feature_store",),
    ),
    Stage(
        "materialize",
        "load the newest features into the online store",
        data.materialize,
        reads=(layout.FEATURES, layout.CLEAN_REPORT, layout.DEFINITIONS),
        writes=(layout.ONLINE,),
        params=("features", "domains", "online"),
        code=("ecomine/feature_store",),
    ),
    Stage(
        "frames",
        "label rows and join their features, point in time",
        learning.frames,
        reads=(layout.CLEAN, layout.CLEAN_REPORT, layout.FEATURES, layout.DEFINITIONS),
        writes=(layout.FRAMES,),
        params=("{domain}", "seed"),
        code=("ecomine/{domain}", "ecomine/feature_store", "ecomine/splits.py"),
        per_domain=True,
    ),
    Stage(
        "select",
        "tell what each feature adds, and which add nothing",
        learning.select,
        reads=(layout.FRAMES,),
        writes=(layout.SELECTION,),
        params=("features", "seed"),
        code=("ecomine/feature_selection.py",),
        per_domain=True,
    ),
    Stage(
        "train",
        "fit the candidate",
        learning.train,
        reads=(layout.FRAMES, layout.SELECTION, layout.CLEAN, layout.CLEAN_REPORT),
        writes=(layout.MODEL,),
        params=("{domain}", "features", "seed", "engine"),
        code=("ecomine/{domain}",),
        per_domain=True,
    ),
    Stage(
        "evaluate",
        "measure the candidate and its baselines on a later stretch of time",
        learning.evaluate,
        reads=(layout.FRAMES, layout.MODEL),
        writes=(layout.METRICS, layout.PLOTS),
        params=("{domain}",),
        code=("ecomine/{domain}", "ecomine/metrics.py", "ecomine/policy_value.py"),
        per_domain=True,
    ),
    Stage(
        "decide",
        "propose a decision for everybody with the candidate",
        learning.decide,
        reads=(layout.MODEL, layout.FEATURES, layout.DEFINITIONS),
        writes=(layout.PROPOSALS,),
        params=("{domain}",),
        code=("ecomine/{domain}", "ecomine/feature_store"),
        per_domain=True,
    ),
    Stage(
        "gate",
        "check whether the candidate may be deployed",
        learning.gate,
        reads=(layout.MODEL, layout.PLOTS, layout.PROPOSALS, layout.CLEAN, layout.FEATURES, layout.ONLINE),
        writes=(layout.GATE,),
        params=("{domain}", "gate", "seed"),
        code=("ecomine/{domain}", "ecomine/gates.py", "ecomine/metrics.py"),
        per_domain=True,
    ),
    Stage(
        "deploy",
        "put the candidate in the champion's place and publish its decisions",
        learning.deploy,
        reads=(layout.MODEL, layout.METRICS, layout.GATE, layout.PROPOSALS, layout.ONLINE),
        writes=(layout.DECISIONS,),
        params=("gate",),
        per_domain=True,
        tracked=False,
    ),
    Stage(
        "report",
        "make the pages for people, about what is deployed",
        reporting.report,
        reads=(
            layout.INGEST_REPORT,
            layout.CLEAN_REPORT,
            layout.FEATURE_REPORT,
            layout.METRICS,
            layout.PLOTS,
            layout.GATE,
            layout.DECISIONS,
        ),
        writes=(layout.START_PAGE,),
        params=("report",),
        code=("ecomine/reports",),
        tracked=False,
    ),
)

STAGES: Mapping[str, Stage] = {stage.name: stage for stage in PIPELINE}


def steps(domains: Iterable[str]) -> list[tuple[Stage, str | None]]:
    """Every stage in running order, those of a domain once for each of `domains`.

    A shared stage comes before all domains, or after all of them, as it stands in the table.
    """
    own = [place for place, stage in enumerate(PIPELINE) if stage.per_domain]
    before, after = PIPELINE[: own[0]], PIPELINE[own[-1] + 1 :]
    walked: list[tuple[Stage, str | None]] = [(stage, None) for stage in before]
    walked += [(stage, domain) for domain in domains for stage in PIPELINE if stage.per_domain]
    return walked + [(stage, None) for stage in after]


def run(name: str, domain: str | None, context: Context, **options: bool) -> None:
    """Run one stage; raises SettingsError for a stage or a domain that does not exist.

    What the disk or the engine refuses is an EcomineError that names the stage.
    """
    if name not in STAGES:
        raise SettingsError(f"There is no stage {name!r}; the stages are {', '.join(STAGES)}.")
    stage = STAGES[name]
    if not stage.per_domain:
        if domain is not None:
            raise SettingsError(f"The stage {name} is for all domains at once; leave out {domain!r}.")
        arguments: tuple[Context] | tuple[Context, Domain] = (context,)
    elif domain in DOMAINS:
        arguments = (context, DOMAINS[domain])
    else:
        raise SettingsError(f"The stage {name} needs a domain; {domain!r} is none of {', '.join(DOMAINS)}.")
    try:
        stage.run(*arguments, **options)
    except (duckdb.Error, sqlite3.Error, OSError, MemoryError) as error:
        copying = isinstance(error, shutil.Error) and error.args[0]
        told = str(copying[0][2] if copying else error).split("\n\n")[0].rstrip(".!")  # DuckDB goes on with the query
        raise EcomineError(
            f"The stage {name} could not finish: {' '.join(told.split())}. What was there before is untouched. Look at "
            "the disk (`df -h`) and at engine.memory_limit in params.yaml; a damaged file is made anew by the stage "
            "that writes it. Then run it again."
        ) from error
