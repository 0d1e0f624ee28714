"""The order lines as all features need them, and the snapshots at which windowed features are taken.

Time is counted in whole days before as_of, so that every window ends exactly at its snapshot whatever the hour of
as_of: a line of age a happened in (as_of − (a + 1) days, as_of − a days]. Snapshot s lies s · snapshot_days before
as_of and knows the lines whose age is at least that.
"""

from datetime import datetime, timedelta

import ibis
from ibis import _

from ecomine.feature_store.declaration import DAY, EVENT_TIMESTAMP, Scope, exact, spans
from ecomine.params import FeatureParams
from ecomine.tables import TABLES

EPOCH = datetime(1970, 1, 1)
KINDS = {
    "id": "string",
    "text": "string",
    "number": "float64",
    "count": "int64",
    "flag": "boolean",
    "time": "timestamp",
}
EVENING = 18
SATURDAY = 5


def age(moment: ibis.Value, as_of: datetime) -> ibis.Value:
    """Whole days from `moment` to as_of; below 0 after as_of."""
    midnight = datetime(as_of.year, as_of.month, as_of.day)
    shift = (as_of - midnight) // timedelta(microseconds=1) + 1
    last_day = (midnight - EPOCH).days - 1
    return last_day - (moment - ibis.interval(microseconds=shift)).date().epoch_days()


def seconds(moment: ibis.Value) -> ibis.Value:
    """Whole seconds since 1970."""
    return moment.truncate("s").epoch_seconds().cast("int64")


def measured(order_lines: ibis.Table, as_of: datetime, params: FeatureParams) -> ibis.Table:
    """Order lines up to as_of as numbers, each by itself.

    snapshot: the first snapshot that knows the line; those with a lower number, which are later, know it too.
    units, spend, listed, off: in whole ten-thousandths, see `exact`.
    """
    absent = {
        column.name: ibis.null(KINDS[column.kind])
        for column in TABLES["order_lines"].columns
        if column.name not in order_lines.columns
    }
    moment = _[EVENT_TIMESTAMP]
    list_price = _.list_price.fill_null(_.unit_price)
    off = _.discount.fill_null(ibis.greatest((list_price - _.unit_price) * _.quantity, 0.0))
    return (
        order_lines.mutate(**absent)
        .filter(moment <= ibis.literal(as_of))
        .select(
            "user_id",
            "item_id",
            "order_id",
            "location_id",
            EVENT_TIMESTAMP,
            age=age(moment, as_of),
            second=seconds(moment),
            units=exact(_.quantity),
            spend=exact(_.quantity * _.unit_price),
            listed=exact(_.quantity * list_price),
            off=exact(off),
            coupon=_.coupon_id.notnull().cast("float64"),
            weekend=(moment.day_of_week.index() >= SATURDAY).cast("float64"),
            evening=(moment.hour() >= EVENING).cast("float64"),
        )
        .mutate(snapshot=_.age // params.snapshot_days, lines=ibis.literal(1).cast("float64"))
    )


def known_lines(
    order_lines: ibis.Table, as_of: datetime, params: FeatureParams, newest: int | None = None
) -> ibis.Table:
    """Order lines up to as_of, with what the features ask of them; see `Scope` for `newest`.

    again, again_twice: the first snapshot that knows the next, and the next but one, purchase of the item by the user;
    −1 without one.
    opens: 1 on the first line of its order. repeat: 1 where the user bought the item before.
    """
    known = measured(order_lines, as_of, params)
    lines = known if newest is None else _of_late_orders(known, newest, params)
    of_pair = ibis.window(group_by=["user_id", "item_id"], order_by=[EVENT_TIMESTAMP, "order_id"])
    of_order = ibis.window(group_by=["user_id", "order_id"], order_by=[EVENT_TIMESTAMP, "item_id"])
    lines = lines.mutate(
        again=_.snapshot.lead(1).over(of_pair).fill_null(-1),
        again_twice=_.snapshot.lead(2).over(of_pair).fill_null(-1),
        repeat=(ibis.row_number().over(of_pair) > 0).cast("float64"),
        opens=(ibis.row_number().over(of_order) == 0).cast("float64"),
    )
    return lines if newest is None else _repeats_of_before(lines, known)


def horizon(newest: int, params: FeatureParams) -> int:
    """Age in days past which no window of a wanted snapshot looks."""
    return spans(params)[-1] + newest * params.snapshot_days


def _of_late_orders(known: ibis.Table, newest: int, params: FeatureParams) -> ibis.Table:
    # Whole orders, since some features are about what else was in the order.
    late = known.filter(_.age < horizon(newest, params)).select("user_id", "order_id").distinct()
    return known.semi_join(late, ["user_id", "order_id"])


def _repeats_of_before(lines: ibis.Table, known: ibis.Table) -> ibis.Table:
    """`repeat` made true for what was bought before the first of these lines."""
    pair = ["user_id", "item_id"]
    first = known.semi_join(lines.select(*pair).distinct(), pair).group_by(*pair).agg(first=_[EVENT_TIMESTAMP].min())
    joined = lines.left_join(first, pair, rname="{name}_before")
    before = (joined.first < joined[EVENT_TIMESTAMP]).fill_null(False)
    repeat = ibis.greatest(joined.repeat, before.cast("float64"))
    return joined.mutate(repeat=repeat).select(*lines.columns)


def at_snapshots(daily: ibis.Table, longest: int, scope: Scope) -> ibis.Table:
    """Each daily row once for every wanted snapshot whose longest window holds it; `age` then counts from there."""
    step = scope.params.snapshot_days
    offset = ibis.range(0, (longest - 1) // step + 1).unnest().name("offset")
    expanded = (
        daily.cross_join(offset.as_table())
        .mutate(snapshot=_.snapshot - _.offset)
        .mutate(age=_.age - _.snapshot * step)
        .filter(_.snapshot >= 0, _.age < longest)
    )
    return expanded if scope.newest is None else expanded.filter(_.snapshot < scope.newest)


def after_kept(table: ibis.Table, scope: Scope) -> ibis.Table:
    """The rows later than the newest snapshot that is kept; all where nothing is."""
    if scope.newest is None:
        return table
    kept = scope.as_of - timedelta(days=scope.newest * scope.params.snapshot_days)
    return table.filter(_[EVENT_TIMESTAMP] > ibis.literal(kept))


def of_the_touched(rows: ibis.Table, keys: list[str], scope: Scope) -> ibis.Table:
    """All rows of the entities that have one later than what is kept."""
    if scope.newest is None:
        return rows
    return rows.semi_join(after_kept(rows, scope).select(*keys).distinct(), keys)


def snapshot_time(snapshot: ibis.Value, as_of: datetime, params: FeatureParams) -> ibis.Value:
    """The moment of a snapshot."""
    return ibis.literal(as_of) - (snapshot * params.snapshot_days).as_interval("D")


def days_since(second: ibis.Value, snapshot: ibis.Value, as_of: datetime, params: FeatureParams) -> ibis.Value:
    """Days from a moment in seconds to a snapshot."""
    now = (as_of.replace(microsecond=0) - EPOCH) // timedelta(seconds=1)
    return (now - snapshot * (params.snapshot_days * DAY) - second).cast("float64") / DAY
