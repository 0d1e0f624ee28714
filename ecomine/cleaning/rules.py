"""What a row must satisfy, in one place: reason → SQL condition under which the row is refused.

A row gets the first reason that hits: malformed value, missing value, the rules of its table from the top,
time out of range; then, among the rows that are left, duplicates, bots and price outliers.

What is no reason: a price of zero (gifts and samples are real), an item, user or location that its own table
lacks (shops delete products), a period that ends after `as_of`, a null in a column that is not required.
"""

from dataclasses import dataclass, fields
from datetime import datetime

from ecomine.params import CleaningParams
from ecomine.tables import MALFORMED, Table

EVENT_TYPES = ("search", "impression", "view", "cart", "wishlist", "purchase", "review")

MALFORMED_VALUE = "malformed value"
EXACT_COPY = "exact copy"
SAME_KEY = "same key as another row"
BOT = "bot"
PRICE_OUTLIER = "price far from the item's median"

_TYPES = ", ".join(f"'{name}'" for name in EVENT_TYPES)

ROW_RULES: dict[str, dict[str, str]] = {
    "events": {
        "unknown event type": f"event_type NOT IN ({_TYPES})",
        "position below 1": "position < 1",
        "rating outside 1 to 5": "rating NOT BETWEEN 1 AND 5",
    },
    "order_lines": {
        "cancellation or return": "quantity < 0",
        "zero quantity": "quantity = 0",
        "negative price": "unit_price < 0 OR list_price < 0",
        "negative discount": "discount < 0",
        "quantity above max_quantity": "quantity > {max_quantity}",
        "price above max_unit_price": "unit_price > {max_unit_price}",
    },
    "items": {
        "negative cost": "unit_cost < 0",
    },
    "promotions": {
        "end before start": "end_date < start_date",
        "negative price": "price < 0",
    },
    "stock": {
        "negative stock": "on_hand < 0 OR on_order < 0",
        "negative lead time": "lead_time_days < 0",
    },
    "payments": {
        "negative amount": "amount < 0",
        "label before event": "label_timestamp < event_timestamp",
    },
    "credit": {
        "negative amount": "amount < 0",
        "label before event": "label_timestamp < event_timestamp",
    },
    "campaigns": {
        "end before start": "end_date < start_date",
        "negative cost": "budget < 0 OR cost_per_contact < 0",
    },
    "ad_impressions": {
        "position below 1": "position < 1",
        "propensity outside 0 to 1": "propensity NOT BETWEEN 0 AND 1",
        "negative cost": "cost < 0",
        "negative revenue": "revenue < 0",
    },
    "competitor_prices": {
        "negative price": "price < 0",
        "price above max_unit_price": "price > {max_unit_price}",
    },
    "social_edges": {
        "tie to oneself": "user_id = other_user_id",
    },
}
"""By table; the names in braces are settings of the section `cleaning`."""

BOT_LIMITS = {"events": "bot_events_per_day", "order_lines": "bot_lines_per_day"}
"""Table → the setting that says how many rows of one user on one day are too many."""

PRICES = {"order_lines": "unit_price", "competitor_prices": "price"}
"""Table → the price that is held against the median of its item."""

SESSIONS = "events"
"""The table whose rows get a session where they lack one."""

LOWER_CASE = {"events": ("event_type",)}
"""Table → text columns whose case carries no meaning."""


@dataclass(frozen=True)
class Rule:
    """A reason to refuse a row, and the SQL condition under which it holds."""

    reason: str
    condition: str


def row_rules(table: Table, params: CleaningParams, as_of: datetime) -> list[Rule]:
    """The rules that look at one row alone, in the order in which they are tried."""
    settings = {field.name: getattr(params, field.name) for field in fields(params)}
    rules = [Rule(MALFORMED_VALUE, f"{MALFORMED} IS NOT NULL")]
    rules += [Rule(f"missing {name}", f'"{name}" IS NULL') for name in table.required]
    numbers = [column.name for column in table.columns if column.kind == "number"]
    if numbers:
        rules.append(Rule("not a finite number", " OR ".join(f'NOT isfinite("{name}")' for name in numbers)))
    rules += [Rule(reason, condition.format(**settings)) for reason, condition in ROW_RULES.get(table.name, {}).items()]
    if table.time:
        rules.append(Rule("before the earliest time", f'"{table.time}" < {time_literal(params.earliest)}'))
        rules.append(Rule("after as_of", f'"{table.time}" > {time_literal(as_of)}'))
    return rules


def time_literal(moment: datetime) -> str:
    return f"TIMESTAMP '{moment.isoformat(sep=' ')}'"
