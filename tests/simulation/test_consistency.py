"""One coherent shop: what one table says the others know."""

import pytest

from ecomine.simulation.rows import VISITS_PER_DAY
from ecomine.tables import TABLES
from tests.simulation.conftest import Made


def test_every_canonical_table_is_there(clean_shop: Made) -> None:
    for name, table in TABLES.items():
        assert clean_shop.ask(f"SELECT count(*) FROM {name}")[0][0] > 0, name
        keys = ", ".join(table.key)
        assert clean_shop.ask(f"SELECT count(*) FROM (SELECT {keys} FROM {name} GROUP BY ALL HAVING count(*) > 1)") == [
            (0,)
        ], name
        assert clean_shop.ask(f"SELECT count(*) FROM {name} WHERE malformed IS NOT NULL") == [(0,)], name


@pytest.mark.parametrize(
    ("what", "query"),
    [
        (
            "lines without their purchase event, and the other way round",
            """SELECT * FROM (SELECT order_id AS visit, item_id, event_timestamp FROM order_lines) AS lines
            FULL JOIN (SELECT session_id AS visit, item_id, event_timestamp FROM events WHERE event_type = 'purchase')
                AS bought USING (visit, item_id, event_timestamp)
            WHERE lines.visit IS NULL OR bought.visit IS NULL""",
        ),
        (
            "orders whose payment is not the sum of their lines",
            """SELECT * FROM (SELECT order_id, sum(quantity * unit_price) AS money FROM order_lines GROUP BY ALL)
            FULL JOIN (SELECT order_id, amount FROM payments WHERE order_id IS NOT NULL) USING (order_id)
            WHERE money IS NULL OR amount IS NULL OR abs(money - amount) > 0.011""",
        ),
        (
            "purchases without a cart, carts without a view",
            """SELECT session_id, item_id FROM events GROUP BY ALL
            HAVING count(*) FILTER (event_type = 'purchase') > count(*) FILTER (event_type = 'cart')
                OR count(*) FILTER (event_type = 'cart') > count(*) FILTER (event_type = 'view')""",
        ),
        (
            "views from a page that did not show the item there",
            """SELECT * FROM events AS views ANTI JOIN events AS shown ON shown.event_type = 'impression'
                AND shown.session_id = views.session_id AND shown.item_id = views.item_id
                AND shown.position = views.position AND shown.event_timestamp < views.event_timestamp
            WHERE views.event_type = 'view' AND views.position IS NOT NULL""",
        ),
        (
            "clicks on ads without a view",
            """SELECT * FROM (SELECT impression_id FROM ad_impressions WHERE clicked) AS clicks
            FULL JOIN (SELECT session_id FROM events WHERE referrer = 'ad' AND event_type = 'view') AS views
                ON impression_id = session_id WHERE impression_id IS NULL OR session_id IS NULL""",
        ),
        (
            "visits of who clicked elsewhere that do not begin with the advertised product, or that came anyhow",
            """SELECT impression_id FROM truth_contacts AS law
            LEFT JOIN (SELECT session_id, arg_min(item_id, event_timestamp) AS item_id,
                arg_min(referrer, event_timestamp) AS referrer
                FROM events WHERE event_type <> 'review' GROUP BY session_id) AS came
                ON came.session_id = CAST(impression_id AS VARCHAR)
            WHERE elsewhere AND (brought <> (came.session_id IS NOT NULL)
                OR brought AND (came.item_id <> CAST(law.item_id AS VARCHAR) OR referrer <> 'ad'))""",
        ),
        (
            "ads elsewhere for people who visit by themselves that day",
            f"""SELECT * FROM truth_contacts AS law JOIN (
                SELECT user_id, CAST(session_id AS BIGINT) AS session FROM events WHERE event_type <> 'review') AS came
                ON came.user_id = CAST(law.user_id AS VARCHAR)
                AND session // {VISITS_PER_DAY} = impression_id // {VISITS_PER_DAY}
            WHERE elsewhere AND session <> impression_id""",
        ),
        (
            "ads that cost more than their campaign's budget",
            """SELECT campaign_id FROM ad_impressions JOIN campaigns USING (campaign_id)
            GROUP BY campaign_id, budget HAVING sum(cost) > budget + 1e-6""",
        ),
        (
            "held-out people who were shown the ad",
            "SELECT * FROM truth_contacts WHERE held_out AND shown",
        ),
        (
            "orders of items that are not on sale yet, or of people without an account",
            """SELECT * FROM order_lines LEFT JOIN items USING (item_id) LEFT JOIN users USING (user_id)
            WHERE title IS NULL OR signup_date IS NULL OR launch_date > order_lines.event_timestamp
                OR signup_date > order_lines.event_timestamp""",
        ),
        (
            "prices that are not those of the day",
            """SELECT * FROM order_lines JOIN truth_demand AS law ON law.item_id = order_lines.item_id
                AND law.location_id = order_lines.location_id
                AND law.day = date_diff('day', TIMESTAMP '2024-01-01', order_lines.event_timestamp)
            WHERE abs(order_lines.list_price - asked) > 1e-9
                OR abs(unit_price - price * CASE WHEN coupon_id IS NULL THEN 1 ELSE 0.85 END) > 0.0051""",
        ),
        (
            "events after midnight of their session's day",
            """SELECT session_id FROM events GROUP BY ALL
            HAVING date_trunc('day', min(event_timestamp)) <> date_trunc('day', max(event_timestamp))""",
        ),
        (
            "sales above what was wanted",
            "SELECT * FROM truth_demand WHERE sold > wanted OR organic > wanted OR sold < 0",
        ),
        ("stock below nothing", "SELECT * FROM stock WHERE on_hand < 0 OR on_order < 0"),
    ],
)
def test_there_are_no(clean_shop: Made, what: str, query: str) -> None:
    assert clean_shop.ask(f"SELECT count(*) FROM ({query})") == [(0,)], what


def test_stock_moves_by_sales_and_deliveries(clean_shop: Made) -> None:
    """Stock is written where it changed; deliveries (stock less yesterday's plus sales) are never negative."""
    rows = clean_shop.ask(
        """WITH counted AS (
            SELECT law.*, stock.on_hand, last_value(stock.on_hand IGNORE NULLS) OVER days AS held
            FROM truth_demand AS law LEFT JOIN stock ON stock.item_id = law.item_id
                AND stock.location_id = law.location_id
                AND law.day = date_diff('day', TIMESTAMP '2024-01-01', stock.event_timestamp)
            WINDOW days AS (PARTITION BY law.item_id, law.location_id ORDER BY law.day)
        ), moved AS (
            SELECT *, held - lag(held) OVER (PARTITION BY item_id, location_id ORDER BY day) + sold AS delivered
            FROM counted
        )
        SELECT min(delivered), sum(delivered) > 0, count(*) FILTER (wanted > sold AND held > wanted) FROM moved"""
    )
    least, some, _ = rows[0]
    assert least >= 0 and some


def test_stock_outs_censor_a_share_of_sales(clean_shop: Made) -> None:
    wanted, sold = clean_shop.ask("SELECT sum(wanted), sum(sold) FROM truth_demand")[0]
    assert 0.01 < 1 - sold / wanted < 0.2
