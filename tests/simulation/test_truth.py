"""What the shop can learn by randomised data agrees with the truth."""

import numpy as np
import pytest

from ecomine.simulation import demand, oracle
from ecomine.sources.simulated import MATURITY_DAYS
from tests.simulation.conftest import Made

SEEN = """WITH seen AS (
    SELECT shown.position, shown.propensity, views.item_id IS NOT NULL AS opened FROM events AS shown
    LEFT JOIN (SELECT session_id, item_id, position, event_timestamp FROM events WHERE event_type = 'view') AS views
        ON shown.session_id = views.session_id AND shown.item_id = views.item_id AND shown.position = views.position
        AND views.event_timestamp = shown.event_timestamp + to_seconds(1 + shown.position)
    WHERE shown.event_type = 'impression' AND shown.position <= 8
)"""


def slope(rows: list[tuple]) -> float:
    """Of log(share opened) by log(position), weighted by the number opened."""
    position, opened, shown = np.array(rows, float).T
    return float(np.polyfit(np.log(position), np.log(opened / shown), 1, w=np.sqrt(opened))[0])


def test_conversion_by_position_follows_the_bias_put_in(clean_shop: Made) -> None:
    """Random pages show it; the shop's own order, best first, mixes it with how good the items are."""
    counts = "SELECT position, count(*) FILTER (opened), count(*) FROM seen"
    drawn = slope(clean_shop.ask(f"{SEEN} {counts} WHERE propensity < 0.5 GROUP BY ALL ORDER BY 1"))
    sorted_by_shop = slope(clean_shop.ask(f"{SEEN} {counts} WHERE propensity >= 0.5 GROUP BY ALL ORDER BY 1"))
    assert drawn == pytest.approx(-demand.POSITION_POWER, abs=0.08)
    assert sorted_by_shop < drawn - 0.1


def test_logged_propensities_add_up(clean_shop: Made) -> None:
    """Over all impressions the mean of 1 / propensity is the mean number of items that could have been shown."""
    share = clean_shop.ask(f"{SEEN} SELECT avg(CASE WHEN propensity < 0.5 THEN 1.0 ELSE 0.0 END) FROM seen")[0][0]
    assert share == pytest.approx(clean_shop.params.random_page_share, rel=0.15)


def test_randomised_prices_find_the_elasticities(clean_shop: Made) -> None:
    """Conditional Poisson regression: within an item and week, how units spread over locations by price."""
    frame = clean_shop.connection.sql(
        """SELECT item_id, location_id, day // 7 AS week, avg(log_ratio) AS log_ratio, sum(organic) AS units,
            any_value(elasticity) AS elasticity
        FROM truth_demand JOIN truth_items USING (item_id) WHERE tested GROUP BY ALL ORDER BY ALL"""
    ).df()
    for low, high in ((1.3, 1.75), (1.75, 2.05), (2.05, 2.8)):
        group = frame[(frame["elasticity"] >= low) & (frame["elasticity"] < high)]
        units = group.pivot_table(index=["item_id", "week"], columns="location_id", values="units").to_numpy()
        price = group.pivot_table(index=["item_id", "week"], columns="location_id", values="log_ratio").to_numpy()
        estimate, error = conditional_poisson(units, price)
        mean = float(np.average(group["elasticity"], weights=group["units"]))
        assert abs(estimate - mean) < 3 * error, (estimate, mean, error)
        assert error < 0.25


def conditional_poisson(units: np.ndarray, price: np.ndarray) -> tuple[float, float]:
    """Elasticity and its standard error; rows are strata, columns locations of different sizes."""
    total, places = units.sum(axis=1, keepdims=True), units.shape[1]
    beta = np.zeros(places)
    design = np.zeros((*units.shape, places))
    design[:, :, 0] = -price
    for column in range(1, places):
        design[:, column, column] = 1
    for _ in range(30):
        share = np.exp(design @ beta)
        share /= share.sum(axis=1, keepdims=True)
        mean = np.einsum("sl,slk->sk", share, design)
        gradient = np.einsum("sl,slk->k", units - total * share, design)
        spread = np.einsum("sl,slk,slm->km", total * share, design, design) - np.einsum(
            "s,sk,sm->km", total[:, 0], mean, mean
        )
        beta = beta + np.linalg.solve(spread, gradient)
    return float(beta[0]), float(np.sqrt(np.linalg.inv(spread)[0, 0]))


def test_the_uplift_against_those_held_back_equals_the_truth(clean_shop: Made) -> None:
    """Inverse propensities on what the shop sees, against both outcomes of every contact; by kind and place."""
    frame = clean_shop.connection.sql(
        """SELECT ads.treated, ads.converted, ads.propensity, campaigns.kind, law.elsewhere,
            CAST(law.with_ad AS INTEGER) - CAST(law.without_ad AS INTEGER) AS uplift
        FROM ad_impressions AS ads JOIN campaigns USING (campaign_id)
        JOIN truth_contacts AS law ON ads.impression_id = CAST(law.impression_id AS VARCHAR)
        ORDER BY ads.impression_id"""
    ).df()
    for _, rows in frame.groupby(["kind", "elsewhere"]):
        treated, chance = rows["treated"].to_numpy(), rows["propensity"].to_numpy()
        one = rows["converted"].to_numpy() * np.where(treated, 1 / chance, -1 / (1 - chance))
        error = one.std() / np.sqrt(len(one))
        assert abs(one.mean() - rows["uplift"].mean()) < 3 * error
        assert rows["uplift"].mean() > 2 * error
    shares = frame.groupby("propensity")["treated"].agg(["mean", "count"]).reset_index()
    spread = np.sqrt(shares["propensity"] * (1 - shares["propensity"]) / shares["count"])
    assert (abs(shares["mean"] - shares["propensity"]) < 4 * spread).all()


def test_ads_elsewhere_bring_visits_that_would_not_have_been(clean_shop: Made) -> None:
    """Nobody who was held back orders in such a visit; who was brought buys more than what was advertised."""
    frame = clean_shop.connection.sql(
        """SELECT ads.treated, ads.propensity, law.brought, money IS NOT NULL AS ordered, coalesce(money, 0) AS money
        FROM ad_impressions AS ads JOIN truth_contacts AS law ON ads.impression_id = CAST(law.impression_id AS VARCHAR)
        LEFT JOIN (SELECT order_id, sum(quantity * unit_price) AS money FROM order_lines GROUP BY order_id) AS bought
            ON order_id = ads.impression_id
        WHERE elsewhere ORDER BY ads.impression_id"""
    ).df()
    assert frame["brought"].sum() > 100
    assert not (frame["ordered"] & ~frame["brought"]).any() and not (frame["brought"] & ~frame["treated"]).any()
    assert frame.loc[frame["ordered"], "money"].mean() > 3
    # People differ in what an ad does to them, and coupons work on others than displays do.
    law = oracle.read(clean_shop.truth, "contacts")
    law = law[law["elsewhere"]].merge(oracle.read(clean_shop.truth, "people")[["user_id", "sensitivity"]], on="user_id")
    chance = law["click_chance"] * law["take_chance"]
    assert chance.std() > 0.3 * chance.mean()
    by_kind = chance.groupby([law["campaign_id"] % 2, law["sensitivity"] > 1]).mean()
    assert by_kind[1, True] / by_kind[1, False] > 1.2 * by_kind[0, True] / by_kind[0, False]


def test_fraud_is_told_late_and_not_always(clean_shop: Made) -> None:
    rows = clean_shop.ask(
        f"""SELECT count(*) FILTER (law.is_fraud), count(*) FILTER (payments.is_fraud),
            count(*) FILTER (payments.is_fraud AND NOT law.is_fraud),
            min(label_timestamp - event_timestamp) FILTER (payments.is_fraud),
            avg(date_diff('hour', event_timestamp, label_timestamp)) FILTER (payments.is_fraud),
            max(label_timestamp) FILTER (NOT payments.is_fraud OR payments.is_fraud),
            count(*) FILTER (payments.is_fraud = false AND event_timestamp > TIMESTAMP '2024-01-01'
                + INTERVAL {clean_shop.params.days - MATURITY_DAYS} DAY)
        FROM payments JOIN truth_payments AS law ON payments.payment_id = CAST(law.payment_id AS VARCHAR)"""
    )
    frauds, told, wrong, soonest, hours, newest, too_soon = rows[0]
    assert frauds > 50 and 0 < told < frauds and wrong == 0 and too_soon == 0
    assert soonest.days >= 3 and 20 < hours / 24 < 45
    assert newest <= clean_shop.ask("SELECT max(event_timestamp) + INTERVAL 1 DAY FROM events")[0][0]


def test_rings_share_devices_and_addresses(clean_shop: Made) -> None:
    rows = clean_shop.ask(
        """SELECT law.kind IN ('ring', 'promotion abuse') AS ring,
            count(DISTINCT user_id) / count(DISTINCT device_id), count(DISTINCT user_id) / count(DISTINCT address_id)
        FROM payments JOIN truth_payments AS law ON payments.payment_id = CAST(law.payment_id AS VARCHAR)
        WHERE law.kind IN ('ring', 'promotion abuse', 'honest') GROUP BY 1 ORDER BY 1"""
    )
    (_, honest_devices, _), (_, ring_devices, ring_addresses) = rows
    assert honest_devices < 1 < ring_devices
    assert ring_addresses > 2


def test_the_best_price_is_the_best_of_a_fine_grid() -> None:
    random = np.random.default_rng(3)
    elasticity = random.uniform(1.3, 2.8, 50)
    reference, cost = random.uniform(1, 20, 50), random.uniform(0.3, 0.8, 50)
    cost = cost * reference
    best = oracle.optimal_price(reference, cost, elasticity)
    grid = reference * np.exp(np.linspace(np.log(0.5), np.log(1.6), 20_000))[:, None]
    profit = oracle.expected_profit(grid, reference, cost, np.broadcast_to(elasticity, grid.shape), np.ones(50))
    reached = oracle.expected_profit(best, reference, cost, elasticity, np.ones(50))
    assert (reached >= profit.max(axis=0) * (1 - 1e-5)).all()


def test_demand_at_reference_prices_is_found_again(clean_shop: Made) -> None:
    """The rate of an item times its factors gives its demand back; prices at the optimum earn more than today's."""
    base = oracle.base_demand(clean_shop.truth)
    total = clean_shop.ask("SELECT sum(organic) FROM truth_demand")[0][0]
    days = oracle.read(clean_shop.truth, "demand").merge(base, on=["item_id", "location_id"])
    items = oracle.read(clean_shop.truth, "items")
    factor = demand.expected_response(
        days["log_ratio"].to_numpy(), items.set_index("item_id")["elasticity"][days["item_id"]].to_numpy()
    )
    assert (days["units"] * factor * np.exp(days["context"]) * days["attention"]).sum() == pytest.approx(total)
    law = [items[name].to_numpy() for name in ("reference_price", "unit_cost", "elasticity")]
    units = base.groupby("item_id")["units"].sum().reindex(items["item_id"], fill_value=0).to_numpy()
    best = oracle.expected_profit(oracle.optimal_price(*law), *law, units).sum()
    assert best > oracle.expected_profit(law[0], *law, units).sum() > 0.8 * best


def test_the_best_orders_are_those_of_the_true_demand(clean_shop: Made) -> None:
    """A row for every item and location on sale, at the demand that the truth's days teach; worth more than others."""
    orders = oracle.read(clean_shop.truth, "orders")
    base = oracle.base_demand(clean_shop.truth)
    both = orders.merge(base, on=["item_id", "location_id"], how="outer", indicator=True)
    assert (both["_merge"] == "both").all()
    assert both["units_per_day"].to_numpy() == pytest.approx(both["units"].to_numpy())
    kept = orders["reorder_point"] >= 0
    assert kept.mean() > 0.9
    assert (orders["order_up_to"] > orders["reorder_point"]).all()
    assert (orders.loc[kept, "value_per_day"] > 0).all() and (orders.loc[~kept, "order_up_to"] == 0).all()
    # The most that could be earned is the margin of all demand.
    assert (orders["value_per_day"] <= orders["margin"] * orders["units_per_day"]).all()
    assert orders["value_per_day"].sum() > 0.8 * (orders["margin"] * orders["units_per_day"]).sum()


def test_who_knows_the_fraud_refuses_the_dearest_first() -> None:
    fraud, amount, margin = np.array([True, False, True]), np.array([10.0, 99.0, 50.0]), np.array([3.0, 30.0, 15.0])
    assert oracle.refuse(fraud, amount, margin).tolist() == [True, False, True]
    assert oracle.refuse(fraud, amount, margin, capacity=1).tolist() == [False, False, True]
    assert oracle.bid(oracle.uplift(0.4, 0.5, 0.5), 20.0) == pytest.approx(2.0)
