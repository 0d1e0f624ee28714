"""The whole road as one flow: every stage of the table in its order, recorded with DVC, then deployment."""

from enum import Enum
from pathlib import Path

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from ecomine.domains import DOMAINS
from ecomine.params import RunParams
from ecomine.stages import Context, run
from ecomine.summary import summary
from flows import notices
from flows.one_writer import one_writer
from flows.patience import patient
from flows.progress import tell
from flows.walk import Finished, Way, recorded, walk

DomainName = Enum("DomainName", {name: name for name in DOMAINS}, type=str)  # type: ignore[misc]


@task(task_run_name="{label}", cache_policy=NO_CACHE, persist_result=False)
def run_stage(label: str, stage: str, domain: str | None, workspace: str) -> None:
    """Run one stage of the table in this process."""
    run(stage, domain, Context.of(Path(workspace), tell()))


@task(task_run_name="record with DVC", cache_policy=NO_CACHE, persist_result=False)
def record_with_dvc(workspace: str, finished: Finished) -> None:
    """Commit what was made to DVC."""
    recorded(Path(workspace), finished, tell())


@flow(
    name="retrain",
    log_prints=False,
    validate_parameters=True,
    persist_result=False,
    on_failure=[notices.told_end],
    on_crashed=[notices.told_end],
)
@one_writer
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
    walk(names, deploy, folder, _by_tasks(folder, context.params.runs))
    create_markdown_artifact(summary(Context.of(folder), names), key="summary", description="What this run did")


def _by_tasks(folder: Path, runs: RunParams) -> Way:
    """A task a step, with the patience of params.yaml."""
    step, record = patient(run_stage, runs), patient(record_with_dvc, runs)
    return Way(
        step=lambda stage, domain: step(f"{stage} {domain}" if domain else stage, stage, domain, str(folder)),
        record=lambda finished: record(str(folder), finished),
        say=tell(),
        deployed=lambda domain, digest: notices.told_change(notices.DEPLOYED, domain, digest, folder),
    )
