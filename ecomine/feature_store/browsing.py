"""What people do on the site: by user and by item at each snapshot, by session from each event on."""

from typing import Any

import ibis
from ibis import _

from ecomine.feature_store.declaration import EVENT_TIMESTAMP, Feature, FeatureTable, Scope, ratio
from ecomine.feature_store.lines import after_kept, of_the_touched, seconds
from ecomine.feature_store.snapshots import next_of, snapshot_table, timed

KINDS = {
    "searches": "search",
    "impressions": "impression",
    "views": "view",
    "carts": "cart",
    "wishes": "wishlist",
    "purchases": "purchase",
    "reviews": "review",
}
"""Feature → event_type."""


def _counts(*kinds: str) -> tuple[Feature, ...]:
    def count(kind: str) -> Any:
        return lambda t, w: t[kind].sum(where=t.age < w)

    return tuple(
        Feature(f"{kind}_{{w}}d", "events", f"events of type {KINDS[kind]} in the last {{w}} days", count(kind))
        for kind in kinds
    )


COMMON = (
    Feature(
        "carts_a_view_{w}d",
        "ratio",
        "times put into the cart ÷ views, in the last {w} days",
        lambda t, w: ratio(t.carts.sum(where=t.age < w), t.views.sum(where=t.age < w)),
        None,
    ),
    Feature(
        "purchases_a_view_{w}d",
        "ratio",
        "purchases ÷ views, in the last {w} days",
        lambda t, w: ratio(t.purchases.sum(where=t.age < w), t.views.sum(where=t.age < w)),
        None,
    ),
    Feature(
        "views_trend_{w}d",
        "ratio",
        "views a day in the last {w} days ÷ views a day in the last {longest} days",
        lambda t, w: ratio(t.views.sum(where=t.age < w) / w, t.views.sum() / t.longest.max()),
        None,
    ),
    Feature("days_since_last_event", "days", "time since the last event", lambda t, w: t.since_last),
    Feature(
        "days_since_first_event",
        "days",
        "time since the first event of the last {longest} days",
        lambda t, w: t.since_first,
    ),
)

USER_FEATURES = (
    *_counts(*KINDS),
    Feature(
        "sessions_{w}d",
        "sessions",
        "different sessions in the last {w} days",
        lambda t, w: t.n.sum(where=(t.age < w) & (t.snapshot > t.again)),
    ),
    *COMMON,
)

ITEM_FEATURES = (
    *_counts("impressions", "views", "carts", "wishes", "purchases", "reviews"),
    Feature(
        "viewers_{w}d",
        "users",
        "different users with an event about it in the last {w} days",
        lambda t, w: t.n.sum(where=(t.age < w) & (t.snapshot > t.again)),
    ),
    *COMMON,
)


def _so_far(kind: str) -> Feature:
    return Feature(kind, "events", f"events of type {KINDS[kind]} so far", lambda t, w: t[kind])


SESSION_FEATURES = (
    *(_so_far(kind) for kind in KINDS),
    Feature("events", "events", "events so far", lambda t, w: t.n),
    Feature("items", "items", "different items so far", lambda t, w: t.new_item),
    Feature("duration_seconds", "seconds", "time since the session's first event", lambda t, w: t.second - t.begun),
    Feature("hour", "hours", "hour of the day at which it began, UTC", lambda t, w: (t.begun % 86_400) // 3_600),
    Feature(
        "views_a_minute",
        "views a minute",
        "views ÷ minutes since the first event",
        lambda t, w: ratio(t.views * 60, t.second - t.begun),
    ),
)


def _events(scope: Scope) -> ibis.Table:
    """Events up to as_of with a column for each kind, 1 where the event is of it."""
    events = scope.tables["events"]
    absent = {name: ibis.null("string") for name in ("session_id", "item_id") if name not in events.columns}
    known = timed(events.mutate(**absent), scope.as_of, scope)
    return known.mutate(**{name: (_.event_type == kind).cast("float64") for name, kind in KINDS.items()})


def _user_rows(scope: Scope) -> ibis.Table:
    return next_of(_events(scope), ("user_id", "session_id"))


def _item_rows(scope: Scope) -> ibis.Table:
    return next_of(_events(scope).filter(_.item_id.notnull()), ("item_id", "user_id"))


def build_sessions(table: FeatureTable, scope: Scope) -> ibis.Table:
    """One row for each moment at which something happened in a session, holding what happened so far."""
    events = of_the_touched(_events(scope).filter(_.session_id.notnull()), ["session_id"], scope)
    of_item = ibis.window(group_by=["session_id", "item_id"], order_by=[EVENT_TIMESTAMP, "event_id"])
    new = (ibis.row_number().over(of_item) == 0) & _.item_id.notnull()
    moments = (
        events.mutate(new_item=new.cast("float64"))
        .group_by("session_id", EVENT_TIMESTAMP)
        .agg(**{name: _[name].sum() for name in (*KINDS, "n", "new_item")})
    )
    so_far = ibis.window(group_by="session_id", order_by=EVENT_TIMESTAMP, preceding=None, following=0)
    second = seconds(_[EVENT_TIMESTAMP])
    totals = moments.select(
        "session_id",
        EVENT_TIMESTAMP,
        **{name: _[name].sum().over(so_far) for name in (*KINDS, "n", "new_item")},
        second=second,
        begun=second.min().over(so_far),
    )
    totals = after_kept(totals, scope)
    return totals.select(
        "session_id",
        EVENT_TIMESTAMP,
        **{column.name: column.of(totals).cast(column.dtype) for column in table.columns(scope.params)},
    )


MEASURES = (*KINDS, "n")

TABLES: tuple[FeatureTable, ...] = (
    snapshot_table(
        "user_events",
        "what a user did on the site of late, at each snapshot",
        ("user_id",),
        USER_FEATURES,
        _user_rows,
        MEASURES,
        finer=("again",),
        sources=("events",),
    ),
    snapshot_table(
        "item_events",
        "what people did with an item on the site of late, at each snapshot",
        ("item_id",),
        ITEM_FEATURES,
        _item_rows,
        MEASURES,
        finer=("again",),
        sources=("events",),
    ),
    FeatureTable(
        "session",
        "visits, from each event on",
        ("session_id",),
        1,
        SESSION_FEATURES,
        build_sessions,
        sources=("events",),
    ),
)
