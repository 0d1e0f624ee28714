"""The whole road as one flow: every stage of the table in its order, recorded with DVC, then deployment."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from prefect import flow
from prefect.artifacts import create_markdown_artifact

from ecomine.changes import change
from ecomine.stages import Context, steps
from ecomine.summary import summary
from flows import notices, stage_tasks
from flows.forms import Change, DomainName, names
from flows.one_writer import one_writer
from flows.patience import patient
from flows.progress import Progress, tell
from flows.shown import link_pages, show
from flows.walk import Way, walk

__all__ = ["DomainName", "retrain"]


@flow(name="retrain", **notices.TOLD)
@one_writer
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
    folder, say = Path(workspace).resolve(), tell()
    for one in change(folder, changes):
        say(f"params.yaml: {one}")
    context = Context.of(folder, say, as_of)
    chosen = names(domains, context.params.domains)
    walk(chosen, deploy, folder, _by_tasks(context, chosen, as_of))
    link_pages(context)
    create_markdown_artifact(summary(Context.of(folder), chosen), key="summary", description="What this run did")


def _by_tasks(context: Context, domains: list[str], as_of: date | None) -> Way:
    """A task a step, with the patience of params.yaml; what was made is shown as it comes."""
    folder, runs, say = context.store.workspace, context.params.runs, context.say
    step, record = stage_tasks.one(folder, runs, as_of), patient(stage_tasks.record_with_dvc, runs)
    road = [(stage.name, domain) for stage, domain in steps(domains) if stage.tracked]
    last = {domain: name for name, domain in road}
    progress = Progress(len(road))

    def shown(stage: str, domain: str | None) -> None:
        if (stage, domain) in road:
            progress.step(stage_tasks.named(stage, domain))
            if domain and stage == last[domain]:
                show(str(folder), domain)

    def take(stage: str, domain: str | None) -> None:
        step(stage, domain)
        shown(stage, domain)

    beside = stage_tasks.beside(folder, runs, as_of, context.params.parallel_domains)
    return Way(
        step=take,
        record=lambda finished: (
            record(str(folder), finished)
            if as_of is None
            else say(f"not recorded with DVC: this was as of {as_of}, which params.yaml does not say")
        ),
        say=say,
        deployed=lambda domain, digest: notices.told_change(notices.DEPLOYED, domain, digest, folder),
        beside=beside
        and (lambda roads, done: beside(roads, lambda stage, domain: (done(stage, domain), shown(stage.name, domain)))),
    )
