"""The nightly flow: what is new is read, and the deployed versions decide for everybody."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from prefect import flow, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from ecomine import deployment
from ecomine.deployment.scoring import Scored, deployed
from ecomine.domains import DOMAINS
from ecomine.stages import Context
from flows import notices
from flows.forms import DomainName, names
from flows.ingest import refresh
from flows.one_writer import one_writer
from flows.patience import patient
from flows.progress import tell


@task(task_run_name="score {domain}", cache_policy=NO_CACHE, persist_result=False)
def score_domain(domain: str, workspace: str) -> Scored:
    """The deployed version of a domain decides, and its decisions are published."""
    return deployment.score(Context.of(Path(workspace), tell()), DOMAINS[domain])


@flow(name="score", **notices.TOLD)
@one_writer
def score(
    domains: Sequence[DomainName] = (),  # type: ignore[valid-type]
    read: bool = True,
    as_of: date | None = None,
    workspace: str = ".",
) -> None:
    """Decide for everybody with the deployed versions, on fresh features, and publish the decisions.

    Nothing is trained. A day that was scored already stays as it is.

    Args:
        domains: the kinds of decision; all of params.yaml's `domains` that are deployed where left empty.
        read: read what is new in the shop's tables first, up to features; otherwise those that are there are used.
        as_of: nothing is seen from this day on; as params.yaml says where left empty. Not before what is published.
        workspace: folder that holds params.yaml.
    """
    folder, say = Path(workspace).resolve(), tell()
    context = Context.of(folder, say, as_of)
    if read:
        refresh(context, as_of)
    step = patient(score_domain, context.params.runs)
    chosen = names(domains, deployed(context, context.params.domains))
    made = {name: step(name, str(folder)) for name in chosen}
    if not made:
        say("nothing is deployed yet, so nobody decides: run `retrain` first")
    create_table_artifact(
        [
            {
                "domain": name,
                "version": one.digest[:12],
                "as of": f"{one.as_of:%Y-%m-%d}",
                "decisions": one.rows,
                "new": "yes" if one.new else "the same as before",
            }
            for name, one in made.items()
        ],
        key="scored",
        description="Decisions of the deployed versions, as they are published now",
    )
