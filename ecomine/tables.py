"""The vocabulary: every canonical table, its columns, their types and units, once.

Timestamps are UTC, stored without a zone. Money is in the shop's currency, in whole units. Ids are whatever the shop
uses, kept as text. Only what a shop has is needed: a table, or a column that is not required, may be absent and then
holds nulls.
"""

from dataclasses import dataclass

SQL_TYPES = {
    "id": "VARCHAR",
    "text": "VARCHAR",
    "number": "DOUBLE",
    "count": "BIGINT",
    "flag": "BOOLEAN",
    "time": "TIMESTAMP",
}
"""DuckDB's type of each kind of column."""

MALFORMED = "malformed"
"""Extra column of ingested tables: which values were not of their type, as text; null for a sound row."""

CATEGORY_SEPARATOR = " > "
"""Between the levels of `items.category`, broad to narrow."""


@dataclass(frozen=True)
class Column:
    """A column of a canonical table; `personal` ones never show up in reports or samples."""

    name: str
    kind: str
    meaning: str
    required: bool = False
    personal: bool = False

    @property
    def sql_type(self) -> str:
        return SQL_TYPES[self.kind]


@dataclass(frozen=True)
class Table:
    """A canonical table; `key` columns identify a row, `time` is the column that says when it happened."""

    name: str
    row: str
    key: tuple[str, ...]
    time: str | None
    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def required(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns if column.required)

    @property
    def personal(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns if column.personal)

    def __getitem__(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)


def _id(name: str, meaning: str, required: bool = False, personal: bool = False) -> Column:
    return Column(name, "id", meaning, required, personal)


def _text(name: str, meaning: str, personal: bool = False) -> Column:
    return Column(name, "text", meaning, personal=personal)


def _number(name: str, meaning: str, required: bool = False) -> Column:
    return Column(name, "number", meaning, required)


def _time(name: str, meaning: str, required: bool = False) -> Column:
    return Column(name, "time", meaning, required)


USER = _id("user_id", "the customer", required=True, personal=True)
ITEM = _id("item_id", "the product", required=True)
LOCATION = _id("location_id", "shop, warehouse or site")

_TABLES = (
    Table(
        "events",
        "something a person did on the site",
        ("event_id",),
        "event_timestamp",
        (
            _id("event_id", "the event", required=True),
            USER,
            _id("session_id", "the visit; assigned by gaps in time where absent"),
            _id("item_id", "the product, where there is one"),
            Column(
                "event_type",
                "text",
                "search, impression, view, cart, wishlist, purchase or review",
                required=True,
            ),
            _time("event_timestamp", "when it happened", required=True),
            _text("query", "what was searched for", personal=True),
            Column("position", "count", "rank on the page, from 1"),
            _number("propensity", "of an impression: probability with which the product got this place, 0 to 1"),
            _number("rating", "stars of a review, 1 to 5"),
            _text("device", "desktop, mobile, tablet, app …"),
            _text("referrer", "where the visit came from"),
        ),
    ),
    Table(
        "order_lines",
        "one item in one order",
        ("order_id", "item_id"),
        "event_timestamp",
        (
            _id("order_id", "the order", required=True),
            USER,
            ITEM,
            LOCATION,
            _time("event_timestamp", "when it was ordered", required=True),
            _number("quantity", "units sold", required=True),
            _number("unit_price", "money paid for one unit, after discounts", required=True),
            _number("list_price", "money asked for one unit, before discounts"),
            _number("discount", "money taken off the line, 0 or more"),
            _id("coupon_id", "coupon used"),
        ),
    ),
    Table(
        "items",
        "a product",
        ("item_id",),
        None,
        (
            ITEM,
            _text("category", "path, broad to narrow, levels separated by ' > '"),
            _id("brand", "the brand or maker"),
            _text("title", "name of the product"),
            _number("unit_cost", "money the shop pays for one unit"),
            _time("launch_date", "first day on sale"),
        ),
    ),
    Table(
        "users",
        "a customer",
        ("user_id",),
        None,
        (
            USER,
            _time("signup_date", "when the account was opened"),
            _text("age_group", "age, in bands", personal=True),
            _text("income_group", "income, in bands", personal=True),
            _text("household", "size and make-up of the household", personal=True),
            _text("region", "where the customer lives", personal=True),
            Column("marketing_consent", "flag", "may be contacted"),
        ),
    ),
    Table(
        "promotions",
        "a price or display period",
        ("item_id", "location_id", "start_date"),
        "start_date",
        (
            ITEM,
            LOCATION,
            _time("start_date", "first moment", required=True),
            _time("end_date", "first moment after it", required=True),
            _number("price", "money for one unit during the period"),
            _text("display", "where in the shop it was shown"),
            _text("mailer", "where in the mailer it was shown"),
            _text("kind", "promotion, price test (a randomised price) …"),
        ),
    ),
    Table(
        "stock",
        "a stock level",
        ("item_id", "location_id", "event_timestamp"),
        "event_timestamp",
        (
            ITEM,
            LOCATION,
            _time("event_timestamp", "when it was counted", required=True),
            _number("on_hand", "units there", required=True),
            _number("on_order", "units ordered and not there yet"),
            _number("lead_time_days", "days from order to delivery"),
        ),
    ),
    Table(
        "payments",
        "an attempt to pay",
        ("payment_id",),
        "event_timestamp",
        (
            _id("payment_id", "the attempt", required=True),
            _id("order_id", "the order paid for"),
            USER,
            _time("event_timestamp", "when it was tried", required=True),
            _number("amount", "money", required=True),
            _text("method", "card, transfer, wallet …"),
            _id("card_id", "the card, as a token", personal=True),
            _id("device_id", "the device", personal=True),
            _text("ip", "network address", personal=True),
            _id("address_id", "where it is delivered to, as a token", personal=True),
            Column("is_fraud", "flag", "label: it was fraud"),
            _time("label_timestamp", "when the label became known"),
        ),
    ),
    Table(
        "credit",
        "credit given",
        ("account_id",),
        "event_timestamp",
        (
            _id("account_id", "the credit account", required=True),
            USER,
            _time("event_timestamp", "when it was granted", required=True),
            _number("amount", "money", required=True),
            Column("defaulted", "flag", "label: it was not paid back"),
            _time("label_timestamp", "when the label became known"),
        ),
    ),
    Table(
        "campaigns",
        "an ad or coupon campaign",
        ("campaign_id",),
        "start_date",
        (
            _id("campaign_id", "the campaign", required=True),
            _text("kind", "what sort of campaign"),
            _time("start_date", "first moment", required=True),
            _time("end_date", "first moment after it"),
            _number("budget", "money to spend"),
            _number("cost_per_contact", "money a contact costs"),
            _id("item_id", "the product it advertises, where it is one"),
        ),
    ),
    Table(
        "ad_impressions",
        "an ad shown, or held back",
        ("impression_id",),
        "event_timestamp",
        (
            _id("impression_id", "the contact", required=True),
            _id("campaign_id", "the campaign", required=True),
            USER,
            _id("creative_id", "what was shown"),
            _time("event_timestamp", "when it was shown", required=True),
            Column("position", "count", "place on the page, from 1"),
            _number("propensity", "probability with which it was chosen, 0 to 1"),
            _number("cost", "money it cost"),
            Column("treated", "flag", "shown (true) or held back (false)"),
            Column("clicked", "flag", "was clicked"),
            Column("converted", "flag", "led to a purchase or redemption"),
            _number("revenue", "money it brought"),
        ),
    ),
    Table(
        "competitor_prices",
        "a rival's price seen",
        ("item_id", "competitor", "event_timestamp"),
        "event_timestamp",
        (
            ITEM,
            _id("competitor", "the rival", required=True),
            _time("event_timestamp", "when it was seen", required=True),
            _number("price", "money for one unit", required=True),
        ),
    ),
    Table(
        "social_edges",
        "a tie between people",
        ("user_id", "other_user_id", "kind"),
        None,
        (
            USER,
            _id("other_user_id", "the other customer", required=True, personal=True),
            _text("kind", "household, friend, shared address …"),
        ),
    ),
)

TABLES: dict[str, Table] = {table.name: table for table in _TABLES}
