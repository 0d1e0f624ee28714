"""Visits as they stand: what was done in a session so far, and whether it ended in a purchase."""

from datetime import datetime

import duckdb
import pandas as pd

from ecomine.profiling.intent import PurchaseIntent
from ecomine.profiling.trees import TreeSettings

NEEDED = ("event_id", "user_id", "session_id", "event_type", "event_timestamp")
SEEN = ("searches", "impressions", "views", "carts", "wishes")
COLUMNS = (*SEEN, "seconds", "hour", "weekday", "carts_a_view")
BOUGHT = "bought"
_SESSIONS = 50_000
"""Newest sessions that intent is learned from."""

_TREES = TreeSettings(depth=4, rounds=120, learning_rate=0.06, min_child_weight=10, colsample=0.6)


def can_tell(events: duckdb.DuckDBPyRelation | None) -> bool:
    """Whether there are sessions to tell anything from."""
    return events is not None and set(NEEDED) <= set(events.columns)


def moments(events: duckdb.DuckDBPyRelation, at: datetime, *, newest: bool) -> pd.DataFrame:
    """Sessions up to `at` as they stood at one of their moments, sorted by session_id.

    newest: the last session of each user at its last moment, otherwise each of the newest sessions at a moment drawn
    by a hash, if nothing was bought in it until then. Columns user_id, session_id, COLUMNS, and bought: 1 where a
    purchase came later in the session.
    """
    chosen = (
        "QUALIFY row_number() OVER (PARTITION BY user_id ORDER BY ended DESC, session_id) = 1"
        if newest
        else f"ORDER BY ended DESC, session_id LIMIT {_SESSIONS}"
    )
    place = "n" if newest else "1 + CAST(hash(session_id) % CAST(n AS UBIGINT) AS BIGINT)"
    counts = ", ".join(
        f"CAST(count(*) FILTER (number <= place AND event_type = '{kind}') AS DOUBLE) AS {name}"
        for name, kind in zip(SEEN, ("search", "impression", "view", "cart", "wishlist"), strict=True)
    )
    unsold = "" if newest else "HAVING count(*) FILTER (number <= place AND event_type = 'purchase') = 0"
    return (
        events.filter(f"event_timestamp <= TIMESTAMP '{at}' AND session_id IS NOT NULL")
        .query(
            "seen",
            f"""WITH every AS (SELECT session_id, any_value(user_id ORDER BY user_id) AS user_id, count(*) AS n,
                max(event_timestamp) AS ended FROM seen GROUP BY session_id),
        sessions AS (SELECT * FROM every {chosen}),
        numbered AS (SELECT sessions.session_id, sessions.user_id, event_type, event_timestamp, {place} AS place,
                row_number() OVER (PARTITION BY session_id ORDER BY event_timestamp, event_id) AS number
            FROM seen JOIN sessions USING (session_id)),
        told AS (SELECT session_id, user_id, {counts},
                CAST(max(epoch(event_timestamp)) FILTER (number <= place) - min(epoch(event_timestamp)) AS DOUBLE)
                    AS seconds,
                CAST(hour(min(event_timestamp)) AS DOUBLE) AS hour,
                CAST(isodow(min(event_timestamp)) AS DOUBLE) AS weekday,
                CAST(count(*) FILTER (number > place AND event_type = 'purchase') > 0 AS DOUBLE) AS {BOUGHT}
            FROM numbered GROUP BY ALL {unsold})
        SELECT *, carts / greatest(views, 1) AS carts_a_view FROM told ORDER BY session_id""",
        )
        .df()
    )


def intent(events: duckdb.DuckDBPyRelation | None, at: datetime, seed: int, threads: int) -> PurchaseIntent | None:
    """A model of purchase intent from the sessions up to `at`; None where there is too little to learn from."""
    if events is None or not can_tell(events):
        return None
    sessions = moments(events, at, newest=False)
    if min(sessions[BOUGHT].sum(), (1 - sessions[BOUGHT]).sum()) < 20:
        return None
    model = PurchaseIntent(trees=_TREES, averages=False, seed=seed, threads=threads)
    model.fit(sessions[list(COLUMNS)], sessions[BOUGHT])
    return model
