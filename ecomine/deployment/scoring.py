"""Deployed versions decide for everybody, on features as they are now: what a shop takes over each night."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pandas as pd

from ecomine import layout
from ecomine.deployment import bundle, publication, records, scores
from ecomine.deployment.bundle import Bundle
from ecomine.deployment.release import writing
from ecomine.domain import EVENT_TIMESTAMP, Domain
from ecomine.errors import DeploymentError

if TYPE_CHECKING:
    from ecomine.stages import Context


@dataclass(frozen=True)
class Scored:
    """What a version decided: its digest, up to when it knew the shop, decisions, and whether they are new ones."""

    digest: str
    as_of: datetime
    rows: int
    new: bool


def score(context: "Context", domain: Domain) -> Scored:
    """Have the deployed version decide for everybody at `as_of`, and publish that; idempotent.

    Raises DeploymentError, with nothing changed, where nothing is deployed, the version does not decide for anybody, or
    what is published knows more of the shop than the features do.
    """
    store, name = context.store, domain.name
    with writing(context, domain):
        model, described = bundle.load(store, domain)
        known = scores.known_until(scores.newest(store, name, described.digest), described.as_of)
        if context.as_of < known:
            raise DeploymentError(
                f"{name}: the published decisions know the shop up to {known:%Y-%m-%d}, the features only up to "
                f"{context.as_of:%Y-%m-%d}. Decisions of an earlier day are made by back-filling and not published."
            )
        decisions = decide(context, domain, model, described)
        new = scores.keep(store, name, described.digest, context.as_of, decisions, context.params.serving.receipt_days)
        if new or not publication.current(store, domain, described.digest):
            publication.publish(store, domain, described.digest)
    context.say(f"{name}: {len(decisions):,} decisions of {described.digest[:12]} as of {context.as_of:%Y-%m-%d}")
    return Scored(described.digest, context.as_of, len(decisions), new)


def decide(context: "Context", domain: Domain, model: Any, described: Bundle) -> pd.DataFrame:
    """Decisions of a version at `as_of`, for everybody whom it knows and for customers who have come since.

    What a version has learnt of somebody's past itself stays as it was; its features are those of `as_of`. Raises
    DeploymentError where it decides for nobody.
    """
    from ecomine import feature_store

    requests = domain.request(model, None)
    since = _newcomers(context, domain, described, set(requests[domain.entity]))
    if len(since):
        requests = pd.concat([requests, domain.request(model, since)], ignore_index=True)
    # A row with a time of its own, such as a payment, keeps it.
    now = requests[EVENT_TIMESTAMP] == pd.Timestamp(described.as_of)
    requests[EVENT_TIMESTAMP] = requests[EVENT_TIMESTAMP].mask(now, pd.Timestamp(context.as_of).as_unit("us"))
    frame = feature_store.point_in_time(context.store.workspace, requests, domain.service)
    decisions = domain.decide(model, frame, described.params)
    missing = [column for column in domain.decision_columns if column not in decisions]
    if missing or decisions.empty:
        raise DeploymentError(
            f"{domain.name}: version {described.digest[:12]} decides {len(decisions):,} rows without "
            f"{', '.join(missing) or 'anybody in them'}; what is published stays."
        )
    return decisions


def _newcomers(context: "Context", domain: Domain, described: Bundle, known: set[Any]) -> pd.DataFrame:
    """Customers who bought for the first time after the version was trained, where it decides on customers."""
    with context.connection() as connection:
        orders = context.store.relations(connection, layout.CLEAN).get("order_lines")
        if domain.entity != "user_id" or orders is None:
            return pd.DataFrame({domain.entity: []})
        since = orders.filter(f"event_timestamp > TIMESTAMP '{described.as_of.isoformat(sep=' ')}'")
        bought = since.project("user_id").distinct().order("user_id").df()
    return bought[~bought["user_id"].isin(known)].reset_index(drop=True)


def deployed(context: "Context", names: list[str]) -> list[str]:
    """Those of the domains of which a version is deployed."""
    return [name for name in names if records.current(context.store, name) is not None]
