"""What is known of an entity that pays by the verdicts on its payments: from each verdict on, however late it came.

A payment's own verdict is never among them, since it is known later than the payment. Counts are 0 where nothing is
known, so that they tell nothing of how new an entity is: what a live payment is told of its card by the last run is
what a payment of the past was told at its own moment.
"""

import ibis
from ibis import _

from ecomine.feature_store.declaration import EVENT_TIMESTAMP, Feature, FeatureTable, Scope, exact, ratio, total
from ecomine.feature_store.lines import after_kept, of_the_touched

FEATURES = (
    Feature("frauds", "payments", "payments known to be fraud by now", lambda t, w: t.frauds, default=0.0),
    Feature("honest", "payments", "payments known to be honest by now", lambda t, w: t.honest, default=0.0),
    Feature(
        "fraud_share",
        "share",
        "payments known to be fraud ÷ payments with a verdict by now",
        lambda t, w: ratio(t.frauds, t.frauds + t.honest),
        default=0.0,
    ),
    Feature(
        "fraud_money",
        "money",
        "money of payments known to be fraud by now",
        lambda t, w: total(t.money),
        default=0.0,
    ),
)

MEASURES = ("frauds", "honest", "money")
ENTITIES = ("card_id", "device_id", "user_id", "address_id")
LABELS = {"is_fraud": "boolean", "label_timestamp": "timestamp"}


def _table(key: str) -> FeatureTable:
    name = key.removesuffix("_id")

    def build(table: FeatureTable, scope: Scope) -> ibis.Table:
        return _build(key, table, scope)

    description = f"verdicts on the payments of a {name}, from each verdict on"
    return FeatureTable(
        f"{name}_verdicts", description, (key,), 365, FEATURES, build, ("order_lines",), improves=("payments",)
    )


def _build(key: str, table: FeatureTable, scope: Scope) -> ibis.Table:
    moments = of_the_touched(_moments(key, scope), [key], scope)
    so_far = ibis.window(group_by=key, order_by=EVENT_TIMESTAMP, preceding=None, following=0)
    totals = moments.select(key, EVENT_TIMESTAMP, **{name: _[name].sum().over(so_far) for name in MEASURES})
    totals = after_kept(totals, scope)
    columns = table.columns(scope.params)
    return totals.select(
        key, EVENT_TIMESTAMP, **{column.name: column.of(totals).cast(column.dtype) for column in columns}
    )


def _moments(key: str, scope: Scope) -> ibis.Table:
    """By moment and entity: how many payments turned out to be fraud, or honest, and the money of the frauds."""
    payments = _payments(key, scope)
    as_of = ibis.literal(scope.as_of)
    known = payments.filter(
        _[key].notnull(), _.is_fraud.notnull(), _[EVENT_TIMESTAMP] <= as_of, _.label_timestamp <= as_of
    )
    # A label is never known at the moment of its own payment, even where the source says so.
    later = _[EVENT_TIMESTAMP] + ibis.interval(seconds=1)
    told = known.select(
        key,
        frauds=_.is_fraud.cast("float64"),
        honest=(~_.is_fraud).cast("float64"),
        money=_.is_fraud.cast("float64") * exact(_.amount),
        **{EVENT_TIMESTAMP: ibis.greatest(_.label_timestamp, later)},
    )
    told = told.filter(_[EVENT_TIMESTAMP] <= as_of)
    return told.group_by(key, EVENT_TIMESTAMP).agg(**{name: _[name].sum() for name in MEASURES})


def _payments(key: str, scope: Scope) -> ibis.Table:
    """The payments with all columns that are needed; none where the source has no payments."""
    wanted = {key: "string", EVENT_TIMESTAMP: "timestamp", "amount": "float64", **LABELS}
    if "payments" not in scope.tables:
        lines = scope.tables["order_lines"].filter(ibis.literal(False))
        return lines.select(**{name: ibis.null(kind).cast(kind) for name, kind in wanted.items()})
    payments = scope.tables["payments"]
    absent = {name: ibis.null(kind).cast(kind) for name, kind in wanted.items() if name not in payments.columns}
    return payments.mutate(**absent).select(*wanted)


TABLES: tuple[FeatureTable, ...] = tuple(_table(key) for key in ENTITIES)
