"""Decisions for days that have gone by, day by day, kept by date."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from prefect import flow, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from ecomine.backfilling import days, fill
from ecomine.deployment.scoring import deployed
from ecomine.stages import Context
from flows import notices
from flows.forms import DomainName, names
from flows.one_writer import one_writer
from flows.patience import patient
from flows.progress import Progress, tell


@task(task_run_name="back-fill {day}", cache_policy=NO_CACHE, persist_result=False)
def fill_day(day: date, domains: list[str], workspace: str) -> dict[str, str]:
    """Decisions of the deployed versions at the start of a day."""
    say = tell()
    became = fill(Context.of(Path(workspace), say), domains, day)
    say(f"{day}: " + ", ".join(f"{name} {what}" for name, what in became.items()))
    return became


@flow(name="backfill", **notices.TOLD)
@one_writer
def backfill(
    first: date,
    last: date,
    domains: Sequence[DomainName] = (),  # type: ignore[valid-type]
    workspace: str = ".",
) -> None:
    """Decide for days that have gone by with the deployed versions, and keep the decisions by date.

    They lie in decisions/history; what is published, online or recorded stays as it is. A day that is there and equal
    is left.

    Args:
        first: the first day; its start is the moment after which nothing is seen.
        last: the last day, which may be the first.
        domains: the kinds of decision; all of params.yaml's `domains` that are deployed where left empty.
        workspace: folder that holds params.yaml.
    """
    context = Context.of(Path(workspace).resolve(), tell())
    chosen = names(domains, deployed(context, context.params.domains))
    asked = days(first, last)
    progress, step, rows = Progress(len(asked)), patient(fill_day, context.params.runs), []
    for day in asked:
        became = step(day, chosen, str(context.store.workspace))
        progress.step(day.isoformat())
        rows.append({"day": day.isoformat(), **became})
    create_table_artifact(rows, key="back-fill", description="What became of each day, by kind of decision")
