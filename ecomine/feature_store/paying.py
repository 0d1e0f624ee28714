"""How a card or a device was used to pay, from each attempt on: by how many, how much, how fast, with what outcome."""

import ibis
from ibis import _

from ecomine.feature_store.declaration import DAY, EVENT_TIMESTAMP, Feature, FeatureTable, Scope, exact, ratio, total
from ecomine.feature_store.lines import after_kept, of_the_touched, seconds

FEATURES = (
    Feature(
        "attempts_{w}d",
        "attempts",
        "attempts in the last {w} days, this one with them",
        lambda t, w: t[f"attempts_{w}"],
    ),
    Feature("amount_{w}d", "money", "money of the attempts of the last {w} days", lambda t, w: total(t[f"amount_{w}"])),
    Feature("attempts_hour", "attempts", "attempts in the last hour, this one with them", lambda t, w: t.attempts_hour),
    Feature("attempts_total", "attempts", "attempts so far", lambda t, w: t.attempts_total),
    Feature("users_total", "users", "different users so far", lambda t, w: t.users_total),
    Feature("frauds_total", "attempts", "attempts known to be fraud by now", lambda t, w: t.frauds_total),
    Feature(
        "fraud_share",
        "share",
        "attempts known to be fraud ÷ attempts so far",
        lambda t, w: ratio(t.frauds_total, t.attempts_total),
    ),
    Feature(
        "mean_amount",
        "money",
        "mean money an attempt so far",
        lambda t, w: ratio(total(t.amount_total), t.attempts_total),
    ),
    Feature(
        "days_since_before",
        "days",
        "time between the attempt before and this one; null at the first",
        lambda t, w: ratio(t.second - t.before, t.second * 0 + DAY),
    ),
    Feature(
        "age_days", "days", "time since the first attempt", lambda t, w: ratio(t.second - t.begun, t.second * 0 + DAY)
    ),
)

HOUR = 3_600
"""Seconds."""

MILLI = 1_000
"""Milliseconds a second; windows are told apart no finer, which is as fine as both engines do it."""


def _table(key: str, description: str) -> FeatureTable:
    def build(table: FeatureTable, scope: Scope) -> ibis.Table:
        return _build(key, table, scope)

    return FeatureTable(key.removesuffix("_id"), description, (key,), 365, FEATURES, build, sources=("payments",))


def _build(key: str, table: FeatureTable, scope: Scope) -> ibis.Table:
    """One row for each moment at which there was an attempt, or an attempt turned out to be fraud."""
    moments = of_the_touched(_moments(key, scope), [key], scope)
    columns = table.columns(scope.params)
    windows = sorted({column.window for column in columns if column.windowed})

    def last(length: int) -> ibis.expr.builders.WindowBuilder:
        return ibis.window(group_by=key, order_by="milli", range=(-(length * MILLI - 1), 0))

    so_far = ibis.window(group_by=key, order_by=EVENT_TIMESTAMP, preceding=None, following=0)
    tried = ibis.ifelse(_.attempts > 0, _.second, ibis.null("int64"))
    totals = moments.mutate(tried=tried)
    totals = totals.select(
        key,
        EVENT_TIMESTAMP,
        "second",
        **{f"attempts_{w}": _.attempts.sum().over(last(w * DAY)) for w in windows},
        **{f"amount_{w}": _.amount.sum().over(last(w * DAY)) for w in windows},
        attempts_hour=_.attempts.sum().over(last(HOUR)),
        attempts_total=_.attempts.sum().over(so_far),
        amount_total=_.amount.sum().over(so_far),
        users_total=_.new_user.sum().over(so_far),
        frauds_total=_.frauds.sum().over(so_far),
        begun=_.tried.min().over(so_far),
        before=_.tried.max().over(ibis.window(group_by=key, order_by=EVENT_TIMESTAMP, preceding=(None, 1))),
    )
    totals = after_kept(totals, scope)
    return totals.select(
        key, EVENT_TIMESTAMP, **{column.name: column.of(totals).cast(column.dtype) for column in columns}
    )


def _moments(key: str, scope: Scope) -> ibis.Table:
    """By moment and entity: attempts, their money, users not seen before, and frauds that came to light."""
    payments = scope.tables["payments"]
    if key not in payments.columns:
        payments = payments.mutate(**{key: ibis.null("string")})
    payments = payments.filter(_[key].notnull())
    of_user = ibis.window(group_by=[key, "user_id"], order_by=[EVENT_TIMESTAMP, "payment_id"])
    known = payments.filter(_[EVENT_TIMESTAMP] <= ibis.literal(scope.as_of))
    one, none = (ibis.literal(number).cast("float64") for number in (1, 0))
    attempts = known.select(
        key,
        EVENT_TIMESTAMP,
        attempts=one,
        amount=exact(_.amount),
        new_user=(ibis.row_number().over(of_user) == 0).cast("float64"),
        frauds=none,
    )
    parts = attempts
    if {"is_fraud", "label_timestamp"} <= set(payments.columns):
        came_out = known.filter(_.is_fraud, _.label_timestamp <= ibis.literal(scope.as_of))
        parts = attempts.union(
            came_out.select(
                key,
                ibis.greatest(_.label_timestamp, _[EVENT_TIMESTAMP]).name(EVENT_TIMESTAMP),
                attempts=none,
                amount=none,
                new_user=none,
                frauds=one,
            )
        )
    parts = parts.group_by(key, EVENT_TIMESTAMP).agg(
        **{name: _[name].sum() for name in ("attempts", "amount", "new_user", "frauds")}
    )
    parts = parts.mutate(second=seconds(_[EVENT_TIMESTAMP]))
    return parts.mutate(milli=_.second * MILLI + _[EVENT_TIMESTAMP].millisecond().cast("int64"))


TABLES: tuple[FeatureTable, ...] = (
    _table("card_id", "cards, from each attempt to pay on"),
    _table("device_id", "devices, from each attempt to pay on"),
)
