"""The whole road as one flow: every stage of the table in its order, recorded with DVC, then deployment."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from ecomine.changes import change
from ecomine.errors import EcomineError
from ecomine.lock import workspace_lock
from ecomine.stages import Context, Stage, steps
from ecomine.store import Store
from ecomine.summary import summary
from flows.forms import Change, DomainName, names
from flows.progress import Progress, tell
from flows.record import record
from flows.releases import told
from flows.shown import show
from flows.walking import together, walk

__all__ = ["DomainName", "retrain"]


@task(task_run_name="record with DVC", cache_policy=NO_CACHE, persist_result=False)
def record_with_dvc(workspace: str, finished: list[tuple[str, str | None]]) -> None:
    """Commit what was made to DVC."""
    from ecomine.stages import STAGES

    if record(Path(workspace), [(STAGES[name], domain) for name, domain in finished]):
        tell()(f"{len(finished)} stages recorded with DVC")
    else:
        tell()("not recorded: this workspace is no DVC repository (`dvc init` makes it one)")


@flow(name="retrain", log_prints=False, validate_parameters=True)
def retrain(
    domains: Sequence[DomainName] = (),  # type: ignore[valid-type]
    deploy: bool = True,
    as_of: date | None = None,
    changes: Sequence[Change] = (),
    workspace: str = ".",
) -> None:
    """Ingest, clean, validate, compute features, train, evaluate, gate and deploy.

    Args:
        domains: the kinds of decision to retrain; all of params.yaml's `domains` where left empty.
        deploy: put candidates that pass their gate in the champions' place.
        as_of: nothing is seen from this day on; as params.yaml says where left empty. A run with a day of its own is
            not recorded with DVC, whose records tell what params.yaml says.
        changes: settings to change first, such as recommendation.max_depth=3. They are checked before anything runs
            and written into params.yaml, where they stay, so that what is recorded is what was run.
        workspace: folder that holds params.yaml.
    """
    folder = Path(workspace).resolve()
    say = tell()
    with workspace_lock(Store(folder)):
        for one in change(folder, changes):
            say(f"params.yaml: {one}")
        context = Context.of(folder, say, as_of)
        chosen = names(domains, context.params.domains)
        with _recorded(folder, as_of) as finished:
            _train(context, chosen, as_of, finished)
        if deploy:
            _deploy(chosen, folder)
    create_markdown_artifact(summary(Context.of(folder), chosen), key="summary", description="What this run did")


@contextmanager
def _recorded(folder: Path, as_of: date | None) -> Iterator[list[tuple[Stage, str | None]]]:
    """Stages that ran are recorded, also where a later one fails."""
    finished: list[tuple[Stage, str | None]] = []
    try:
        yield finished
    finally:
        if finished and as_of is None:
            record_with_dvc(str(folder), [(stage.name, domain) for stage, domain in finished])
        elif finished:
            tell()(f"not recorded with DVC: this was as of {as_of}, which params.yaml does not say")


def _train(context: Context, domains: list[str], as_of: date | None, finished: list[tuple[Stage, str | None]]) -> None:
    """Every stage that makes files; the domains beside each other where `parallel_domains` allows."""
    folder, width = context.store.workspace, min(context.params.parallel_domains, len(domains))
    road = [(stage, domain) for stage, domain in steps(domains) if stage.tracked]
    progress = Progress(len(road))

    def done(stage: Stage, domain: str | None) -> None:
        finished.append((stage, domain))
        progress.step(f"{stage.name} {domain}" if domain else stage.name)
        if domain and (stage, domain) == [step for step in road if step[1] == domain][-1]:
            show(str(folder), domain)

    shared = [step for step in road if step[1] is None]
    walk(shared, folder, as_of, done)
    own = [[step for step in road if step[1] == domain] for domain in domains]
    if width > 1:
        together(own, folder, as_of, width, done)
    else:
        walk([step for steps_ in own for step in steps_], folder, as_of, done)


def _deploy(domains: list[str], folder: Path) -> None:
    """Deploy each domain; one that fails its gate does not keep the others from going live."""
    failures: list[EcomineError] = []
    for stage, domain in steps(domains):
        if not stage.tracked:
            try:
                walk([(stage, domain)], folder)
                if domain:
                    told(folder, domain, tell())
            except EcomineError as error:
                failures.append(error)
    if failures:
        raise failures[0]
