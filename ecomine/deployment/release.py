"""Promotion of a candidate and the way back."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ecomine import layout
from ecomine.deployment import bundle, publication, records, trial
from ecomine.deployment.lineage import revision
from ecomine.domain import Check, Domain, FeatureReader
from ecomine.errors import DeploymentError, EcomineError, GateError
from ecomine.lock import workspace_lock
from ecomine.store import Store

if TYPE_CHECKING:
    from ecomine.feature_store import OnlineReader
    from ecomine.stages import Context

_one_at_a_time = threading.RLock()


@dataclass(frozen=True)
class Admitted:
    """A candidate that may answer: kept among the versions, with what it showed and what it changes for whom."""

    digest: str
    as_of: str
    checks: list[Check]
    changes: list[dict[str, Any]]


def promote(context: "Context", domain: Domain, force: bool = False) -> str:
    """Put the candidate in the champion's place, publish its decisions and return its digest.

    A candidate that is deployed already changes nothing. Raises GateError, naming the check and with nothing
    changed, where the candidate is too slow or loses against the champion, where the champion cannot be
    compared with, or where it could not be gone back to. `force` is for the last two alone: a champion that
    is damaged, or whose features are no more, must not stand in the way for ever, but a person has to say so.
    """
    store, name = context.store, domain.name
    with writing(context, domain):
        champion = records.current(store, domain)
        admitted = admit(context, domain, champion, force)
        digest = admitted.digest
        if digest == champion:
            if not publication.current(store, domain, digest):
                publication.publish(store, domain, digest)
            context.say(f"{name}: {digest[:12]} is deployed already; nothing to do")
        else:
            put(context, domain, records.DEPLOY, digest, admitted.as_of, admitted.checks, changes=admitted.changes)
    return digest


def admit(context: "Context", domain: Domain, champion: str | None, force: bool = False) -> Admitted:
    """Try the candidate against the champion and keep it among the versions; raises GateError as `promote` does."""
    store, name = context.store, domain.name
    with bundle.candidate(context, domain) as (digest, folder, changes):
        checks: list[Check] = []
        if digest != champion:
            read = online(store, domain).read
            model, described = bundle.open_folder(domain, digest, folder)
            checks.append(_within(name, trial.latency_check(context, domain, model, described, read)))
            if champion:
                checks += _against_champion(context, domain, champion, read, force)
        bundle.keep(store, name, digest, folder)
    return Admitted(digest, context.as_of.isoformat(), checks, changes)


@contextmanager
def writing(context: "Context", domain: Domain) -> Iterator[None]:
    """Alone with a domain's deployments, which are whole: what a killed run left undone is completed first."""
    with _one_at_a_time, workspace_lock(context.store, f"deployments of {domain.name}"):
        _complete(context, domain)
        yield


def rollback(context: "Context", domain: Domain, to: str | None = None) -> str:
    """Go back to the version deployed before, or to the latest earlier one whose digest begins with `to`.

    It has to load and answer first. Raises DeploymentError, with nothing changed, where it does not or where
    there is none to go back to. Going back once more goes one further back.
    """
    store, name = context.store, domain.name
    with writing(context, domain):
        earlier = records.deployed(records.history(store, domain))[:-1]
        chosen = [digest for digest in earlier if digest.startswith(to or "")]
        if not chosen:
            known = ", ".join(digest[:12] for digest in earlier) or "none"
            raise DeploymentError(
                f"{name}: there is no earlier version{f' {to}' if to else ''} to go back to; known: {known}."
            )
        digest = chosen[-1]
        _, described = trial.rehearse(context, domain, digest, online(store, domain).read)
        rehearsed = Check("answers", 1.0, 1.0, True, f"version {digest[:12]} loads and answers")
        put(context, domain, records.ROLLBACK, digest, described.as_of.isoformat(), [rehearsed])
    return digest


def online(store: Store, domain: Domain) -> "OnlineReader":
    """Online features of the domain's service; raises MissingInputError where nothing is materialised."""
    from ecomine import feature_store

    store.require(layout.ONLINE, "materialize")
    return feature_store.OnlineReader(store.workspace, domain.service)


def _against_champion(
    context: "Context", domain: Domain, champion: str, read: FeatureReader, force: bool
) -> list[Check]:
    """The champion must answer, to be gone back to, and must not be better; `force` lets a mute one go."""
    name = domain.name
    way_out = f"Where that is meant, deploy with `ecomine deploy {name} --force`."
    step = "way_back"
    try:
        model, described = trial.rehearse(context, domain, champion, read)
        step = "not_worse_than_champion"
        comparison = trial.champion_check(context, domain, model, described)
    except EcomineError as error:
        if force:
            context.say(f"{name}: deployed by force, without a comparison: {error}")
            return [Check("forced", 0.0, 1.0, False, str(error))]
        raise GateError(f"{name}: the candidate is not deployed; {step}: {error} {way_out}") from error
    way_back = Check("way_back", 1.0, 1.0, True, f"the predecessor {champion[:12]} loads and answers")
    return [way_back, _within(name, comparison)]


def _within(name: str, check: Check) -> Check:
    if not check.passed:
        raise GateError(f"{name}: the candidate is not deployed; {check.name}: {check.why}")
    return check


def put(
    context: "Context", domain: Domain, action: str, digest: str, as_of: str, checks: list[Check], **more: Any
) -> None:
    """Move the pointer that `action` is about, with the facts that belong into the history."""
    facts: dict[str, Any] = {
        "as_of": as_of,
        "git": revision(context.store.workspace),
        "checks": [asdict(check) for check in checks],
        **{name: fact for name, fact in more.items() if fact},
    }
    records.change(context.store, domain.name, action, digest, **facts)
    if action not in records.CHALLENGES:
        publication.publish(context.store, domain, digest)


def _complete(context: "Context", domain: Domain) -> None:
    """What a killed run left undone after it had moved the pointer: its line of history, its decisions, its trial."""
    store, name = context.store, domain.name
    healed = records.heal(store, name)
    digest = records.current(store, domain)
    # A damaged champion publishes nothing; what comes next finds and names the damage.
    whole = digest and bundle.damage(store.path(f"{bundle.versions(name)}/{digest}"), digest) is None
    if digest and whole and not publication.current(store, domain, digest):
        publication.publish(store, domain, digest)
        healed = True
    tried = records.challenge(store, domain)
    if digest and tried is not None and tried["digest"] == digest:
        records.change(store, name, records.WITHDRAW, digest, as_of=tried["as_of"], git=None, why="it is deployed")
        healed = True
    if healed:
        context.say(f"{name}: completed a deployment that was interrupted")
