"""The order lines as all features need them, and the snapshots at which windowed features are taken.

Time is counted in whole days before as_of, so that every window ends exactly at its snapshot whatever the hour of
as_of: a line of age a happened in (as_of − (a + 1) days, as_of − a days]. Snapshot s lies s · snapshot_days before
as_of and knows the lines whose age is at least that.
"""

from datetime import datetime, timedelta

import ibis
from ibis import _

from ecomine.feature_store.declaration import DAY, EVENT_TIMESTAMP, exact
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


def known_lines(order_lines: ibis.Table, as_of: datetime, params: FeatureParams) -> ibis.Table:
    """Order lines up to as_of, with what the features ask of them.

    snapshot: the first snapshot that knows the line; those with a lower number, which are later, know it too.
    again, again_twice: the same of the next and next but one purchase of the item by the user; −1 without one.
    units, spend, listed, off: in whole ten-thousandths, see `exact`.
    opens: 1 on the first line of its order. repeat: 1 where the user bought the item before.
    """
    absent = {
        column.name: ibis.null(KINDS[column.kind])
        for column in TABLES["order_lines"].columns
        if column.name not in order_lines.columns
    }
    list_price = _.list_price.fill_null(_.unit_price)
    off = _.discount.fill_null(ibis.greatest((list_price - _.unit_price) * _.quantity, 0.0))
    lines = (
        order_lines.mutate(**absent)
        .filter(_[EVENT_TIMESTAMP] <= ibis.literal(as_of))
        .select(
            "user_id",
            "item_id",
            "order_id",
            EVENT_TIMESTAMP,
            age=age(_[EVENT_TIMESTAMP], as_of),
            second=seconds(_[EVENT_TIMESTAMP]),
            units=exact(_.quantity),
            spend=exact(_.quantity * _.unit_price),
            listed=exact(_.quantity * list_price),
            off=exact(off),
            weekend=(_[EVENT_TIMESTAMP].day_of_week.index() >= SATURDAY).cast("float64"),
            evening=(_[EVENT_TIMESTAMP].hour() >= EVENING).cast("float64"),
        )
        .mutate(snapshot=_.age // params.snapshot_days, lines=ibis.literal(1).cast("float64"))
    )
    of_pair = ibis.window(group_by=["user_id", "item_id"], order_by=[EVENT_TIMESTAMP, "order_id"])
    of_order = ibis.window(group_by=["user_id", "order_id"], order_by=[EVENT_TIMESTAMP, "item_id"])
    return lines.mutate(
        again=_.snapshot.lead(1).over(of_pair).fill_null(-1),
        again_twice=_.snapshot.lead(2).over(of_pair).fill_null(-1),
        repeat=(ibis.row_number().over(of_pair) > 0).cast("float64"),
        opens=(ibis.row_number().over(of_order) == 0).cast("float64"),
    )


def at_snapshots(daily: ibis.Table, longest: int, params: FeatureParams) -> ibis.Table:
    """Each daily row once for every snapshot whose longest window holds it; `age` then counts from that snapshot."""
    step = params.snapshot_days
    offset = ibis.range(0, (longest - 1) // step + 1).unnest().name("offset")
    return (
        daily.cross_join(offset.as_table())
        .mutate(last=_.snapshot, snapshot=_.snapshot - _.offset)
        .mutate(age=_.age - _.snapshot * step)
        .filter(_.snapshot >= 0, _.age < longest)
    )


def snapshot_time(snapshot: ibis.Value, as_of: datetime, params: FeatureParams) -> ibis.Value:
    """The moment of a snapshot."""
    return ibis.literal(as_of) - (snapshot * params.snapshot_days).as_interval("D")


def days_since(second: ibis.Value, snapshot: ibis.Value, as_of: datetime, params: FeatureParams) -> ibis.Value:
    """Days from a moment in seconds to a snapshot."""
    now = (as_of.replace(microsecond=0) - EPOCH) // timedelta(seconds=1)
    return (now - snapshot * (params.snapshot_days * DAY) - second).cast("float64") / DAY
