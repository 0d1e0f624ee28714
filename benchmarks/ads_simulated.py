"""Targeting on a shop whose truth is known: what ads to the right people bring, against who knows the law.

Protocol: a clean simulated shop (`--users`, `--items`, `--days`, no fraud), its ads shown by chance with known
propensities to some and held back from others. UpliftModel learns from the contacts of the first two thirds of the
days, whether the advertised product was bought, from what the shop knew of the customer before the campaign began:
later purchases betray who was held back from it, and the balance test says so. Which of the learners is taken is told
by AUUC on the last quarter of those days. On the later contacts a budget of `BUDGET` of what all of them would cost is
spent on those with the greatest expected incremental profit a unit of money: uplift × margin of the product, over the
price of the place. The response model ranks by the probability of a purchase of who saw the ad (ClickModel), times
margin. The judge knows the law: incremental profit is the true rise of the probability of a sale times its margin, less
the price; the oracle ranks by that rise. The uplift model was made on
seeds 5 and 11; 2025 was looked at once, after that.
"""

import argparse
import tempfile
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from benchmarks.report import Row, report
from ecomine.ads.bases import LINEAR, XGBOOST
from ecomine.ads.classifiers import TreeSettings
from ecomine.ads.randomisation import evidence
from ecomine.ads.response import ClickModel
from ecomine.ads.uplift import UpliftModel, UpliftSettings
from ecomine.ads.uplift_metrics import auuc
from ecomine.params import SimulationParams

BUDGET = 0.3
BAR = 0.85
CANDIDATES = {
    "s, linear": UpliftSettings("s", LINEAR, effect_scale=1.0),
    "t, linear": UpliftSettings("t", LINEAR),
    "t, xgboost": UpliftSettings("t", XGBOOST, depth=3, rounds=60, leaf=200),
    "dr, linear": UpliftSettings("dr", LINEAR, penalty=0.1),
    "dr, xgboost": UpliftSettings("dr", XGBOOST, depth=3, rounds=40, leaf=400),
}
FEATURES = ["kind", "elsewhere", "age_group", "income_group", "orders", "lines", "money", "discounted", "coupons",
            "days_since_order", "days_known", "own_lines", "price"]  # fmt: skip

QUERY = """
WITH days AS (
    SELECT user_id, CAST(event_timestamp AS DATE) AS day, count(DISTINCT order_id) AS orders, count(*) AS lines,
        sum(CAST(unit_price AS DECIMAL(18, 4))) AS money, count(*) FILTER (discount > 0) AS discounted,
        count(coupon_id) AS coupons
    FROM order_lines GROUP BY ALL
), past AS (
    SELECT user_id, day, sum(orders) OVER w AS orders, sum(lines) OVER w AS lines, sum(money) OVER w AS money,
        sum(discounted) OVER w AS discounted, sum(coupons) OVER w AS coupons
    FROM days WINDOW w AS (PARTITION BY user_id ORDER BY day)
), prices AS (
    SELECT item_id, median(unit_price) AS price
    FROM order_lines WHERE event_timestamp < TIMESTAMP '{split}' GROUP BY ALL
), contact AS (
    SELECT a.impression_id, a.user_id, a.campaign_id, a.propensity, a.treated, a.converted,
        a.position IS NULL AS elsewhere, t.item_id, t.rival_bid, t.click_chance, t.take_chance, t.without_ad, c.kind,
        CAST(c.start_date AS DATE) AS day, a.event_timestamp
    FROM ad_impressions a JOIN truth_contacts t USING (impression_id, campaign_id) JOIN campaigns c USING (campaign_id)
), own AS (
    SELECT impression_id, count(*) AS own_lines
    FROM contact c JOIN order_lines o
    ON o.user_id = c.user_id AND o.item_id = c.item_id AND CAST(o.event_timestamp AS DATE) < c.day
    GROUP BY ALL
)
SELECT c.*, u.age_group, u.income_group, greatest(date_diff('day', u.signup_date, c.day), 0) AS days_known,
    p.orders::DOUBLE AS orders, p.lines::DOUBLE AS lines, p.money::DOUBLE AS money, p.discounted::DOUBLE AS discounted,
    p.coupons::DOUBLE AS coupons, c.day - p.day AS days_since_order, coalesce(own.own_lines, 0) AS own_lines,
    prices.price, i.unit_cost
FROM contact c
LEFT JOIN users u USING (user_id) LEFT JOIN own USING (impression_id) LEFT JOIN prices USING (item_id)
LEFT JOIN items i USING (item_id)
ASOF LEFT JOIN past p ON p.user_id = c.user_id AND p.day < c.day
ORDER BY c.event_timestamp, c.impression_id
"""


def contacts_of(folder: Path, params: SimulationParams, split: pd.Timestamp) -> pd.DataFrame:
    """Contacts with what was known of the customer before the campaign, and, for the judge, the truth."""
    from ecomine.simulation import simulate

    simulate(params, folder / "raw", folder / "truth")
    connection = duckdb.connect()
    connection.execute("SET threads = 1")
    for name in ("ad_impressions", "campaigns", "order_lines", "users", "items"):
        connection.read_parquet(f"{(folder / 'raw' / name).as_posix()}/*.parquet").create_view(name)
    connection.read_parquet(f"{(folder / 'truth/contacts').as_posix()}/*.parquet").create_view("truth_contacts")
    rows = connection.sql(QUERY.format(split=split)).df()
    rate = rows[["orders", "lines", "money", "discounted", "coupons"]].fillna(0.0)
    rows[rate.columns] = rate
    known = rows["days_known"].clip(lower=7)
    # What people do in a day, and how often they buy at a discount, tells more than sums that grow with time.
    rows["discounted"], rows["coupons"] = (
        rate["discounted"] / (rate["lines"] + 2),
        rate["coupons"] / (rate["lines"] + 2),
    )
    rows["orders"], rows["lines"], rows["money"] = (rate[name] / known for name in ("orders", "lines", "money"))
    rows["elsewhere"] = rows["elsewhere"].astype(float)
    return rows


def crossed(rows: pd.DataFrame) -> pd.DataFrame:
    """The features, and each number once more for coupon campaigns alone."""
    seen = rows[FEATURES]
    coupon = (rows["kind"] == "coupon").to_numpy(float)
    numbers = [name for name in FEATURES if pd.api.types.is_numeric_dtype(seen[name])]
    more = {f"{name} if coupon": seen[name].fillna(seen[name].median()) * coupon for name in numbers}
    return seen.assign(**more)


def learnt(rows: pd.DataFrame, settings: UpliftSettings) -> UpliftModel:
    return UpliftModel(settings).fit(
        crossed(rows),
        rows["treated"].to_numpy(float),
        rows["converted"].to_numpy(float),
        chances(rows),
        rows["user_id"],
    )


def chances(rows: pd.DataFrame) -> np.ndarray:
    return rows["propensity"].to_numpy(float)


def bought(score: np.ndarray, price: np.ndarray) -> np.ndarray:
    """Contacts taken, the greatest score a unit of money first, until the budget is spent."""
    order = np.argsort(-score / np.maximum(price, 1e-9), kind="stable")
    taken = np.zeros(len(score), bool)
    taken[order[np.cumsum(price[order]) <= BUDGET * price.sum()]] = True
    return taken & (score > price)


def main() -> None:
    """Simulate, learn, spend, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="not needed: the shop is simulated")
    parser.add_argument("--users", type=int, default=6000)
    parser.add_argument("--items", type=int, default=200)
    parser.add_argument("--days", type=int, default=126)
    parser.add_argument("--seed", type=int, default=2025)
    options = parser.parse_args()
    params = SimulationParams(
        users=options.users, items=options.items, days=options.days, seed=options.seed, dirt=0.0, fraud_share=0.0,
        needs_per_visit=3.0,
    )  # fmt: skip
    begin = pd.Timestamp(params.start)
    split, inner = (begin + pd.Timedelta(days=round(options.days * share)) for share in (2 / 3, 1 / 2))
    with tempfile.TemporaryDirectory() as name:
        rows = contacts_of(Path(name), params, split)
    told = evidence(rows[FEATURES], rows["treated"].to_numpy(float), chances(rows), rows["user_id"])
    train, test = rows[rows["event_timestamp"] < split], rows[rows["event_timestamp"] >= split]
    first, last = train[train["event_timestamp"] < inner], train[train["event_timestamp"] >= inner]
    arm, outcome = last["treated"].to_numpy(float), last["converted"].to_numpy(float)
    validated = {
        name: auuc(learnt(first, one).predict(crossed(last)), arm, outcome) for name, one in CANDIDATES.items()
    }
    chosen = max(validated, key=lambda name: validated[name])
    margin = (test["price"] - test["unit_cost"]).fillna(0.0).to_numpy(float)
    price = test["rival_bid"].to_numpy(float)
    seen = train[train["treated"].to_numpy(bool)]
    response = ClickModel(threads=1, trees=TreeSettings(100, 3, 0.08)).fit(
        crossed(seen), seen["converted"].to_numpy(float)
    )
    without = float(test["without_ad"].mean())
    rise = (test["click_chance"] * test["take_chance"]).to_numpy(float)
    true = rise * (1 - test["without_ad"].to_numpy(float)) * margin - price
    uplift = learnt(train, CANDIDATES[chosen]).predict(crossed(test))
    scores = {
        "oracle": rise * (1 - without) * margin,
        "uplift": uplift * margin,
        "response": response.predict(crossed(test)) * margin,
        "margin alone": np.maximum(margin, 0) * float(uplift.mean()),
        "at random": np.random.default_rng(0).random(len(test)) + 1.0,
    }
    earned = {name: float(true[bought(score, price)].sum()) for name, score in scores.items()}
    report_rows = [Row("contacts learnt from", len(train)), Row("contacts tested on", len(test))]
    report_rows += [Row("balance given the propensities, p-value", told.p_value)]
    report_rows += [Row(f"AUUC in validation, {name}", value) for name, value in validated.items()]
    report_rows += [Row("correlation of uplift told and true", float(np.corrcoef(uplift, rise)[0, 1]))]
    for name, value in earned.items():
        if name != "oracle":
            report_rows.append(
                Row(
                    f"incremental profit, share of the oracle's, {name}",
                    value / earned["oracle"],
                    BAR if name == "uplift" else None,
                )
            )
    print(f"Chosen by validation: {chosen}.\n")
    report("ads_simulated", f"{options.users:,} users, {options.days} days, seed {options.seed}", report_rows)


if __name__ == "__main__":
    main()
