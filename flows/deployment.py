"""Promotion and its way back, as flows that an operator starts from the Prefect UI."""

from pathlib import Path

from prefect import flow

from ecomine import deployment
from ecomine.domains import DOMAINS
from ecomine.stages import Context, run
from flows import notices
from flows.forms import DomainName
from flows.one_writer import one_writer
from flows.progress import tell
from flows.releases import told

TOO_LONG = 3600
"""Seconds: a version loads, answers and is compared in minutes."""


@flow(name="deploy", timeout_seconds=TOO_LONG, **notices.TOLD)
@one_writer
def deploy(domain: DomainName, workspace: str = ".") -> None:  # type: ignore[valid-type]
    """Put the candidate of a domain in the champion's place, if it passed its gate.

    Args:
        domain: the kind of decision.
        workspace: folder that holds params.yaml.
    """
    context, name = Context.of(Path(workspace).resolve(), tell()), DomainName(domain).value
    before = deployment.current(context.store, name)
    run("deploy", name, context)
    told(context.store.workspace, name, tell())
    digest = deployment.current(context.store, name)
    if digest and digest != before:
        notices.told_change(notices.DEPLOYED, name, digest, context.store.workspace)


@flow(name="rollback", timeout_seconds=TOO_LONG, **notices.TOLD)
@one_writer
def rollback(domain: DomainName, workspace: str = ".") -> None:  # type: ignore[valid-type]
    """Go back to the version that was deployed before.

    Args:
        domain: the kind of decision.
        workspace: folder that holds params.yaml.
    """
    context, name = Context.of(Path(workspace).resolve(), tell()), DomainName(domain).value
    digest = deployment.rollback(context, DOMAINS[name])
    told(context.store.workspace, name, tell())
    tell()(f"{name}: back to {digest[:12]}")
    notices.told_change(notices.ROLLED_BACK, name, digest, context.store.workspace)
