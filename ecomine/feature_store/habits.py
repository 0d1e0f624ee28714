"""In which manner a user buys and an item is bought: hours, weekdays, baskets, price levels, what is changing."""

from collections.abc import Callable, Iterator
from typing import Any

import ibis
from ibis import _

from ecomine.feature_store.declaration import DAY, Feature, Scope, ratio, total
from ecomine.feature_store.snapshots import snapshot_table

HOUR = 3_600
"""Seconds."""

PARTS_OF_DAY = {"night": (0, 6), "morning": (6, 12), "afternoon": (12, 18), "evening": (18, 24)}
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
THURSDAY = 3
"""The weekday of 1970-01-01."""


def _in(measure: str) -> Callable[[Any, int], Any]:
    return lambda t, w: t[measure].sum(where=t.age < w)


def _quotient(part: str, whole: str) -> Callable[[Any, int], Any]:
    return lambda t, w: ratio(_in(part)(t, w), _in(whole)(t, w))


def _money(part: str, whole: str) -> Callable[[Any, int], Any]:
    return lambda t, w: ratio(total(_in(part)(t, w)), _in(whole)(t, w))


def _share(name: str, of: str) -> Callable[[Any, int], Any]:
    return lambda t, w: ratio(t[name], t[of])


def _times(of: str, things: str) -> Iterator[Feature]:
    for name, (begin, end) in PARTS_OF_DAY.items():
        text = f"{things} between {begin}:00 and {end}:00 UTC ÷ {things}, in the last {{longest}} days"
        yield Feature(f"{name}_share", "share", text, _share(name, of))
    for name in WEEKDAYS:
        text = f"{things} on a {name.capitalize()} ÷ {things}, in the last {{longest}} days"
        yield Feature(f"{name}_share", "share", text, _share(name, of))


def _with_times(lines: ibis.Table, weight: str) -> ibis.Table:
    """`lines` with `weight` under the name of the part of the day and of the weekday, 0 under the others."""
    hour = (_.second % DAY) // HOUR
    weekday = (_.second // DAY + THURSDAY) % len(WEEKDAYS)
    parts = {name: _[weight] * ((hour >= b) & (hour < e)).cast("float64") for name, (b, e) in PARTS_OF_DAY.items()}
    days = {name: _[weight] * (weekday == number).cast("float64") for number, name in enumerate(WEEKDAYS)}
    return lines.mutate(**parts, **days)


TIMES = (*PARTS_OF_DAY, *WEEKDAYS)

PRICE_LEVELS = (
    Feature("unit_price_{w}d", "money a unit", "mean price paid, last {w} days", _quotient("spend", "units"), None),
    Feature("list_price_{w}d", "money a unit", "mean price asked, last {w} days", _quotient("listed", "units"), None),
    Feature(
        "discount_share_{w}d",
        "share",
        "money off ÷ money at list price, last {w} days",
        _quotient("off", "listed"),
        None,
    ),
    Feature(
        "coupon_share_{w}d", "share", "lines with a coupon ÷ lines, last {w} days", _quotient("coupon", "lines"), None
    ),
)
"""What was paid and asked: of a person's lines as of an item's."""

USER_FEATURES = (
    Feature("basket_lines_{w}d", "lines", "mean lines an order, last {w} days", _quotient("lines", "opens"), None),
    Feature("basket_value_{w}d", "money", "mean money an order, last {w} days", _money("spend", "opens"), None),
    *PRICE_LEVELS,
    Feature(
        "new_item_share_{w}d",
        "share",
        "lines of items never bought before ÷ lines, last {w} days",
        lambda t, w: ratio(_in("lines")(t, w) - _in("repeat")(t, w), _in("lines")(t, w)),
        None,
    ),
    Feature(
        "spend_trend_{w}d",
        "ratio",
        "money a day in the last {w} days ÷ money a day in the last {longest} days",
        lambda t, w: ratio(_in("spend")(t, w) / w, t.spend.sum() / t.longest.max()),
        None,
    ),
    Feature(
        "order_gap_days",
        "days",
        "mean time between two orders of the last {longest} days",
        lambda t, w: ratio(t["last"] - t["first"], (t.opens - 1) * DAY),
    ),
    Feature("single_line_share", "share", "orders of one line ÷ orders, last {longest} days", _share("alone", "opens")),
    *_times("opens", "orders"),
)

ITEM_FEATURES = (
    *PRICE_LEVELS,
    Feature(
        "repeat_share_{w}d",
        "share",
        "lines of earlier buyers ÷ lines, last {w} days",
        _quotient("repeat", "lines"),
        None,
    ),
    Feature(
        "companions_{w}d",
        "lines",
        "mean number of other lines in its orders, last {w} days",
        _quotient("others", "lines"),
        None,
    ),
    Feature(
        "price_trend_{w}d",
        "ratio",
        "mean price paid in the last {w} days ÷ in the last {longest} days",
        lambda t, w: ratio(_quotient("spend", "units")(t, w), ratio(t.spend.sum(), t.units.sum())),
        None,
    ),
    Feature(
        "units_trend_{w}d",
        "ratio",
        "units a day in the last {w} days ÷ units a day in the last {longest} days",
        lambda t, w: ratio(_in("units")(t, w) / w, t.units.sum() / t.longest.max()),
        None,
    ),
    Feature(
        "units_a_line", "units", "mean units a line, last {longest} days", lambda t, w: ratio(total(t.units), t.lines)
    ),
    Feature("alone_share", "share", "orders of nothing else ÷ orders, last {longest} days", _share("alone", "lines")),
    *_times("lines", "lines"),
)


def _user_rows(scope: Scope) -> ibis.Table:
    return _with_times(_with_orders(scope).mutate(alone=_.opens * _.alone), "opens")


def _item_rows(scope: Scope) -> ibis.Table:
    return _with_times(_with_orders(scope), "lines")


def _with_orders(scope: Scope) -> ibis.Table:
    """Lines with the number of others in their order, and whether there are none."""
    size = _.lines.sum().over(ibis.window(group_by=["user_id", "order_id"]))
    return scope.lines.mutate(others=size - 1).mutate(alone=(_.others == 0).cast("float64"))


MEASURES = ("lines", "units", "spend", "listed", "off", "coupon", "repeat", "alone")

USER_HABITS = snapshot_table(
    "user_habits",
    "in which manner a user buys, at each snapshot",
    ("user_id",),
    USER_FEATURES,
    _user_rows,
    (*MEASURES, "opens", *TIMES),
    apart="user_id",
)

ITEM_HABITS = snapshot_table(
    "item_habits",
    "in which manner an item is bought, at each snapshot",
    ("item_id",),
    ITEM_FEATURES,
    _item_rows,
    (*MEASURES, "others", *TIMES),
)
