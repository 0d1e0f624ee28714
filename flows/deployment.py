"""Promotion and its way back, as flows that an operator starts from the Prefect UI."""

from pathlib import Path

from prefect import flow

from ecomine import deployment
from ecomine.domains import DOMAINS
from ecomine.lock import workspace_lock
from ecomine.stages import Context, run
from flows.forms import DomainName
from flows.progress import tell
from flows.releases import told


@flow(name="deploy")
def deploy(domain: DomainName, workspace: str = ".") -> None:  # type: ignore[valid-type]
    """Put the candidate of a domain in the champion's place, if it passed its gate.

    Args:
        domain: the kind of decision.
        workspace: folder that holds params.yaml.
    """
    context = Context.of(Path(workspace).resolve(), tell())
    with workspace_lock(context.store):
        run("deploy", DomainName(domain).value, context)
        told(context.store.workspace, DomainName(domain).value, tell())


@flow(name="rollback")
def rollback(domain: DomainName, workspace: str = ".") -> None:  # type: ignore[valid-type]
    """Go back to the version that was deployed before.

    Args:
        domain: the kind of decision.
        workspace: folder that holds params.yaml.
    """
    context = Context.of(Path(workspace).resolve(), tell())
    with workspace_lock(context.store):
        digest = deployment.rollback(context, DOMAINS[DomainName(domain).value])
        told(context.store.workspace, DomainName(domain).value, tell())
    tell()(f"{DomainName(domain).value}: back to {digest[:12]}")
