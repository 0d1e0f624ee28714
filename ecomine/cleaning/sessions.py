"""Visits for events that came without one: a pause in a user's events ends a session."""


def assign_sessions(source: str, gap_minutes: int) -> str:
    """SQL that gives the rows of `source` (a name) a `session_id` where they lack one.

    Only events without a session are looked at. The id is a digest of the user and of the moment the session
    began, so it stays the same when later events arrive, and tells nobody who the user is.
    """
    order = "PARTITION BY user_id ORDER BY event_timestamp, event_id"
    return f"""
        WITH paused AS (
            SELECT *, lag(event_timestamp) OVER ({order}) AS previous
            FROM {source} WHERE session_id IS NULL
        ), begun AS (
            SELECT * EXCLUDE (previous), max(CASE
                WHEN previous IS NULL OR event_timestamp >= previous + INTERVAL {gap_minutes} MINUTE
                THEN event_timestamp END) OVER ({order} ROWS UNBOUNDED PRECEDING) AS began
            FROM paused
        )
        SELECT * EXCLUDE (began) REPLACE (
            md5(user_id || ' ' || epoch_us(began))[:16] AS session_id
        ) FROM begun
        UNION ALL
        SELECT * FROM {source} WHERE session_id IS NOT NULL
    """
