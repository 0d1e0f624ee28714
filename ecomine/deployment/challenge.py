"""A version that is tried beside the deployed one: as a shadow, whose answers are kept and not used, or as a canary,
which answers for a share of the customers. It ends by promotion or by withdrawal.
"""

from typing import TYPE_CHECKING, Any

from ecomine.deployment import records, trial
from ecomine.deployment.live import Live, Report, report
from ecomine.deployment.release import admit, online, put, writing
from ecomine.domain import Check, Domain
from ecomine.errors import DeploymentError

if TYPE_CHECKING:
    from ecomine.stages import Context


def challenge(context: "Context", domain: Domain, share: float | None = None) -> str:
    """Try the candidate beside the champion and return its digest: a shadow, or a canary for a share of customers.

    The candidate has to show what a deployment asks for. Raises GateError where it does not, DeploymentError where
    nothing is deployed to try it beside or where it is the same version, SettingsError for a share outside (0, 1).
    """
    store, name = context.store, domain.name
    with writing(context, domain):
        champion = records.current(store, domain)
        if champion is None:
            raise DeploymentError(
                f"{name}: nothing is deployed that a candidate could be tried beside; `ecomine deploy {name}` first."
            )
        admitted = admit(context, domain, champion)
        if admitted.digest == champion:
            raise DeploymentError(f"{name}: the candidate is {champion[:12]}, which is deployed; train another one.")
        kind = {"action": records.SHADOW} if share is None else {"action": records.CANARY, "share": share}
        put(
            context, domain, digest=admitted.digest, as_of=admitted.as_of, checks=admitted.checks,
            changes=admitted.changes, **kind,
        )  # fmt: skip
    return admitted.digest


def promote_challenger(context: "Context", domain: Domain, evidence: dict[str, Any] | None = None) -> str:
    """Put the challenger in the champion's place and return its digest; both have to load and answer first.

    evidence: what it showed while it was tried, for the history. Raises DeploymentError, with nothing changed, where
    nothing is tried or one of the two is mute.
    """
    store = context.store
    with writing(context, domain):
        record = _tried(context, domain)
        digest, champion = record["digest"], str(records.current(store, domain))
        read = online(store, domain).read
        checks = []
        for name, version in (("answers", digest), ("way_back", champion)):
            trial.rehearse(context, domain, version, read)
            checks.append(Check(name, 1.0, 1.0, True, f"version {version[:12]} loads and answers"))
        facts = {"changes": record.get("changes"), "tried": evidence, "as": record["action"]}
        put(context, domain, records.DEPLOY, digest, record["as_of"], checks, **facts)
        put(context, domain, records.WITHDRAW, digest, record["as_of"], [], why="it is deployed")
    return str(digest)


def withdraw(context: "Context", domain: Domain, why: str, evidence: dict[str, Any] | None = None) -> str:
    """End the trial of the challenger, whose digest is returned; raises DeploymentError where nothing is tried."""
    with writing(context, domain):
        record = _tried(context, domain)
        facts = {"why": why, "tried": evidence}
        put(context, domain, records.WITHDRAW, record["digest"], record["as_of"], [], **facts)
    return str(record["digest"])


def trial_report(context: "Context", domain: Domain) -> Report:
    """How the trial of a domain's challenger stands; raises DeploymentError where nothing is tried."""
    record = _tried(context, domain)
    champion = str(records.current(context.store, domain))
    return report(Live(context.store), domain.name, record, champion, context.params.challenger)


def _tried(context: "Context", domain: Domain) -> dict[str, Any]:
    record = records.challenge(context.store, domain)
    if record is None:
        raise DeploymentError(
            f"{domain.name}: no version is tried beside the deployed one; `ecomine deploy {domain.name} --shadow` or "
            "`--canary 5%` begins."
        )
    return record
