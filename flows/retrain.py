"""The whole road as one flow: every stage of the table in its order, recorded with DVC, then deployment."""

from enum import Enum
from pathlib import Path

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from ecomine.domains import DOMAINS
from ecomine.errors import EcomineError
from ecomine.lock import workspace_lock
from ecomine.stages import Context, Stage, run, steps
from ecomine.store import Store
from ecomine.summary import summary
from flows.progress import tell
from flows.record import record
from flows.releases import told

DomainName = Enum("DomainName", {name: name for name in DOMAINS}, type=str)  # type: ignore[misc]


@task(task_run_name="{label}", cache_policy=NO_CACHE, persist_result=False)
def run_stage(label: str, stage: str, domain: str | None, workspace: str) -> None:
    """Run one stage of the table in this process."""
    run(stage, domain, Context.of(Path(workspace), tell()))


@task(task_run_name="record with DVC", cache_policy=NO_CACHE, persist_result=False)
def record_with_dvc(workspace: str, finished: list[tuple[str, str | None]]) -> None:
    """Commit what was made to DVC."""
    from ecomine.stages import STAGES

    if record(Path(workspace), [(STAGES[name], domain) for name, domain in finished]):
        tell()(f"{len(finished)} stages recorded with DVC")
    else:
        tell()("not recorded: this workspace is no DVC repository (`dvc init` makes it one)")


@flow(name="retrain", log_prints=False, validate_parameters=True)
def retrain(domains: list[DomainName] | None = None, deploy: bool = True, workspace: str = ".") -> None:  # type: ignore[valid-type]
    """Ingest, clean, validate, compute features, train, evaluate, gate and deploy.

    Args:
        domains: the kinds of decision to retrain; all of params.yaml's `domains` where left empty.
        deploy: put candidates that pass their gate in the champions' place.
        workspace: folder that holds params.yaml.
    """
    folder = Path(workspace).resolve()
    context = Context.of(folder)
    names = [DomainName(name).value for name in domains or context.params.domains]
    finished: list[tuple[Stage, str | None]] = []
    with workspace_lock(Store(folder)):
        try:
            for stage, domain in steps(names):
                if stage.tracked:
                    _run(stage, domain, folder)
                    finished.append((stage, domain))
        finally:
            if finished:
                record_with_dvc(str(folder), [(stage.name, domain) for stage, domain in finished])
        if deploy:
            _deploy(names, folder)
    create_markdown_artifact(summary(Context.of(folder), names), key="summary", description="What this run did")


def _deploy(domains: list[str], folder: Path) -> None:
    """Deploy each domain; one that fails its gate does not keep the others from going live."""
    failures: list[EcomineError] = []
    for stage, domain in steps(domains):
        if not stage.tracked:
            try:
                _run(stage, domain, folder)
                if domain:
                    told(folder, domain, tell())
            except EcomineError as error:
                failures.append(error)
    if failures:
        raise failures[0]


def _run(stage: Stage, domain: str | None, folder: Path) -> None:
    run_stage(f"{stage.name} {domain}" if domain else stage.name, stage.name, domain, str(folder))
