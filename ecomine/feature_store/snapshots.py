"""Features of an entity at every snapshot, counted over windows that end there: one way for all kinds of entity."""

from collections.abc import Callable, Sequence
from datetime import datetime

import ibis
from ibis import _

from ecomine.feature_store.declaration import EVENT_TIMESTAMP, Column, Feature, FeatureTable, Scope, spans
from ecomine.feature_store.lines import age, at_snapshots, days_since, seconds, snapshot_time

AGE, SNAPSHOT, SECOND = "age", "snapshot", "second"


def snapshot_table(
    name: str,
    description: str,
    keys: tuple[str, ...],
    features: tuple[Feature, ...],
    rows: Callable[[Scope], ibis.Table],
    measures: Sequence[str],
    *,
    finer: Sequence[str] = (),
    sources: tuple[str, ...] = ("order_lines",),
    improves: tuple[str, ...] = (),
    apart: str | None = None,
) -> FeatureTable:
    """A table with a row for each entity that has something in the longest window, at each snapshot.

    rows(scope) gives `keys`, age, snapshot, second (see `lines`), `measures` to add up and the columns `finer`, which
    the features' conditions ask for beside the age.

    A feature with `{w}` sees these rows, `t.age` counted from the snapshot, `t.longest` the longest window. All others
    see one row an entity and snapshot: those features, each measure's sum over the longest window, `last` and `first`
    (seconds since 1970), and `since_last` and `since_first` (days).
    """

    def build(table: FeatureTable, scope: Scope) -> ibis.Table:
        columns = table.columns(scope.params)
        known = rows(scope).filter(*(_[key].notnull() for key in keys))
        return finish(windows(known, keys, measures, finer, columns, scope), keys, columns, scope)

    return FeatureTable(name, description, keys, None, features, build, sources, improves, apart=apart)


def windows(
    rows: ibis.Table,
    keys: Sequence[str],
    measures: Sequence[str],
    finer: Sequence[str],
    columns: Sequence[Column],
    scope: Scope,
) -> ibis.Table:
    """Windowed features and sums by entity and snapshot; see `snapshot_table`."""
    daily = rows.group_by(*keys, AGE, SNAPSHOT, *finer).agg(
        **{name: _[name].sum() for name in measures}, last=_[SECOND].max(), first=_[SECOND].min()
    )
    longest = spans(scope.params)[-1]
    recent = at_snapshots(daily, longest, scope).mutate(longest=ibis.literal(longest))
    return recent.group_by(*keys, SNAPSHOT).agg(
        **{column.name: column.over(recent) for column in columns if column.windowed},
        **{name: recent[name].sum() for name in measures},
        last=recent.last.max(),
        first=recent.first.min(),
    )


def finish(table: ibis.Table, keys: Sequence[str], columns: Sequence[Column], scope: Scope) -> ibis.Table:
    """Keys, the snapshot's moment, and the features in order, from what `windows` gave."""
    table = table.mutate(
        since_last=days_since(table["last"], table[SNAPSHOT], scope.as_of, scope.params),
        since_first=days_since(table["first"], table[SNAPSHOT], scope.as_of, scope.params),
    )
    return table.select(
        *keys,
        snapshot_time(table[SNAPSHOT], scope.as_of, scope.params).name(EVENT_TIMESTAMP),
        **{
            column.name: (table[column.name] if column.windowed else column.of(table)).cast(column.dtype)
            for column in columns
        },
    )


def timed(source: ibis.Table, as_of: datetime, scope: Scope) -> ibis.Table:
    """Rows of a clean table up to as_of with age, snapshot and second, for `snapshot_table`."""
    known = source.filter(_[EVENT_TIMESTAMP] <= ibis.literal(as_of))
    return known.mutate(
        age=age(_[EVENT_TIMESTAMP], as_of), second=seconds(_[EVENT_TIMESTAMP]), n=ibis.literal(1).cast("float64")
    ).mutate(snapshot=_.age // scope.params.snapshot_days)


def next_of(rows: ibis.Table, what: Sequence[str], name: str = "again") -> ibis.Table:
    """`rows` with the first snapshot that knows the next row of the same `what` in the column `name`, −1 without one.

    At a snapshot the newest row of each is that with `snapshot > name`: counting those counts different ones.
    """
    following = ibis.window(group_by=list(what), order_by=[SECOND, SNAPSHOT])
    return rows.mutate(**{name: _[SNAPSHOT].lead(1).over(following).fill_null(-1)})
