"""Fraud on a shop whose truth is known: money saved, tactics that began after training, rings.

Protocol: a clean simulated shop of 270 days. FraudDetector learns from the payments of the first 90 days, whose labels
are known on day 180, and decides on days 180 to 269 with the labels that have come in by each payment; two tactics
begin in that time. The size of leaves was chosen on seed 7. The truth (also of frauds that nobody ever tells the shop)
is read by the judge alone. Saved is the money that allowing everything would have lost, less what the decisions cost;
the oracle blocks every fraud and nothing else. Rules alone block what they hit. Rings are customers of one device,
three and more, as known on the last day; who is in one belongs to a true group, or had an account taken over or a
payment made in their name.
"""

import argparse
import tempfile
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from benchmarks.report import Row, report
from ecomine.params import SimulationParams
from ecomine.risk import Costs, FraudDetector, decide_payments
from ecomine.risk.boosting import Boosting
from ecomine.risk.decisions import money
from ecomine.risk.rings import ring_features, rings
from ecomine.risk.rules import hits, parse
from ecomine.risk.validation import figures
from ecomine.simulation import simulate

DAYS, LEARNED, KNOWN = 270, 90, 180
MATURITY = 90
WINDOWS, LABEL_WINDOWS = ("1h", "1d", "7d", "30d"), ("30d",)
TREES = Boosting(min_child_weight=0.1)
"""Small leaves: a shop has few frauds of each kind."""

RULES = ("amount > 150 and user_age_days < 1", "device_users_30d > 2", "card_users_30d > 1")
PAYMENTS = """
SELECT paid.*, told.reported, truth.kind, truth.is_fraud AS was_fraud
FROM '{raw}/payments/*.parquet' AS paid JOIN '{truth}/payments/*.parquet' AS truth USING (payment_id)
LEFT JOIN '{raw}/charge_backs/*.parquet' AS told USING (payment_id) ORDER BY payment_id
"""


def payments(raw: Path, truth: Path, start: pd.Timestamp) -> pd.DataFrame:
    """Payments with what the shop is told, and when; an honest one counts as such once it is old enough."""
    table = duckdb.sql(PAYMENTS.format(raw=raw, truth=truth)).df()
    quiet = table["event_timestamp"] + pd.Timedelta(days=MATURITY)
    table["is_fraud"] = table["reported"].notna()
    table["label_timestamp"] = table["reported"].fillna(quiet)
    table["day"] = (table["event_timestamp"].dt.normalize() - start).dt.days
    return table


def main() -> None:
    """Simulate, learn, decide, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="not needed: the shop is simulated")
    parser.add_argument("--users", type=int, default=3000)
    parser.add_argument("--items", type=int, default=200)
    parser.add_argument("--seed", type=int, default=23)
    parser.add_argument("--capacity", type=int, default=5, help="reviews a day")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    params = SimulationParams(users=options.users, items=options.items, days=DAYS, dirt=0.0, seed=options.seed)
    start = pd.Timestamp(params.start)
    with tempfile.TemporaryDirectory() as folder:
        raw, truth = Path(folder) / "raw", Path(folder) / "truth"
        simulate(params, raw, truth)
        table = payments(raw, truth, start)
        people = duckdb.sql(f"SELECT user_id, \"group\", role FROM '{truth}/people.parquet'").df().set_index("user_id")
    known = start + pd.Timedelta(days=KNOWN)
    detector = FraudDetector(WINDOWS, LABEL_WINDOWS, boosting=TREES, threads=options.threads)
    detector.fit(table, known, until=start + pd.Timedelta(days=LEARNED))
    asked = (table["day"] >= KNOWN).to_numpy()
    test = table[asked].reset_index(drop=True)
    features = detector.features(table, asked).reset_index(drop=True)
    probability = detector.events.predict(features)
    fraud, amount = test["was_fraud"].to_numpy(bool), test["amount"].to_numpy(float)
    costs = Costs()
    acts = decide_payments(test, probability, costs, options.capacity)["action"].to_numpy()
    ringed = ring_features(table, asked, links=("device_id",)).reset_index(drop=True)
    hit = np.any([hits(parse(rule, list(features)), features) for rule in RULES], axis=0)
    ways = {
        "model": acts,
        "rules": np.where(hit, "block", "allow"),
        "oracle": np.where(fraud, "block", "allow"),
    }
    saved = money(ways, fraud, amount, costs).set_index("way")["saved"]
    own = figures(test.assign(is_fraud=fraud, card_id=test["user_id"]), probability)
    rows = [
        Row("money saved, share of the oracle's", float(saved["model"] / saved["oracle"]), 0.85),
        Row("money saved by rules alone, share of the oracle's", float(saved["rules"] / saved["oracle"])),
        *(Row(f"{what} of all frauds", own[what]) for what in ("AUC", "AP", "recall at 1 % false positives")),
        Row("share of payments that are fraud", float(fraud.mean())),
        Row("mean probability", float(probability.mean()), float(fraud.mean())),
    ]
    stopped = acts != "allow"
    rows.append(Row("honest payments stopped or looked at", float(stopped[~fraud].mean())))
    for kind, part in pd.DataFrame({"kind": test["kind"], "stopped": stopped})[fraud].groupby("kind"):
        rows.append(Row(f"recall: {kind}", float(part["stopped"].mean())))
    for week, part in pd.Series(stopped[fraud]).groupby((test["day"].to_numpy()[fraud] - KNOWN) // 7):
        rows.append(Row(f"recall in week {week + 1} after day {KNOWN}", float(part.mean())))
    found = rings(table, start + pd.Timedelta(days=DAYS), days=DAYS, links=("device_id",))
    if len(found):
        guilty = people["group"].reindex(found["user_id"]).notna().to_numpy()
        touched = found["user_id"].isin(table.loc[table["was_fraud"], "user_id"]).to_numpy()
        rows.append(
            Row("customers in rings who are of a true group or were robbed", float((guilty | touched).mean()), 0.9)
        )
        rows.append(Row("customers in rings who are of a true group", float(guilty.mean())))
    paying = people["group"].reindex(table["user_id"].unique()).dropna()
    large = paying.groupby(paying).transform("size") >= 3
    caught = paying.index[large].isin(found["user_id"])
    rows.append(Row("customers of true groups of three and more found", float(caught.mean()) if len(caught) else 0.0))
    inside = (ringed["ring_users"] >= 3).to_numpy()
    rows.append(Row("share of frauds in a ring known the day before", float(inside[fraud].mean())))
    report("risk_simulated", f"{options.users:,} people, {DAYS} days, seed {options.seed}", rows)


if __name__ == "__main__":
    main()
