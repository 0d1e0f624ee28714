"""Fraud on a shop whose truth is known: money saved, tactics that began after training, rings.

Protocol: a clean simulated shop of 270 days. FraudDetector, with what it is told of rings, learns on day 180 from the
payments of the first 135 days: fraud is what was complained about by then, honest what nobody complained about for 45
days. It decides on days 180 to 269 with the complaints that have come in by each payment. Tactics change every 45 days,
so all that it meets began after the payments it learned from. Features, settings and delays were chosen on seed 7.

The truth (also of frauds that nobody ever tells the shop) is read by the judge alone. Saved is the money that allowing
everything would have lost, less what the decisions cost. Two comparisons. With equal looks: neither the model nor its
oracle may block; each spends `capacity` looks a day on what it takes for the greatest losses, the oracle by the truth.
With blocks: the oracle blocks every fraud and nothing else, the model blocks and looks, as it would in a shop. Rules
alone block what they hit, and beside the first comparison look at what they hit, greatest amounts first.

Rings are customers of devices in common, three and more, in the last 60 days. Honest households share devices and
cards, too (`household_sharing`), so a device of up to four people counts only with a fraud that is known. A ring is
true where those who share its devices are fraudsters by the truth: every payment on them is fraud. It need not be a
planted group: crews that take accounts over work from devices in common, and the customers in their rings are their
victims. So counting customers who are of a planted group (the row below) says how many of a ring's customers are
accomplices, not whether it is a ring.
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
from ecomine.risk.rings import rings
from ecomine.risk.rules import hits, parse
from ecomine.risk.validation import figures
from ecomine.simulation import simulate

DAYS, LEARNED, KNOWN = 270, 135, 180
MATURITY = 45
RING_DAYS, TACTIC_DAYS = 60, 45
HOUSEHOLD = 4
"""People who may live together: a device of up to so many tells of a ring only with a known fraud."""

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


def looks(test: pd.DataFrame, worth: np.ndarray, wanted: np.ndarray, capacity: int) -> np.ndarray:
    """Looks at what is worth most on each day, `capacity` of them at most, and lets all else through."""
    order = pd.Series(np.where(wanted, worth, -np.inf)).groupby(test["day"].to_numpy())
    place = order.rank(ascending=False, method="first").to_numpy()
    return np.where(wanted & (place <= capacity), "review", "allow")


def ring_rows(table: pd.DataFrame, people: pd.DataFrame, end: pd.Timestamp) -> list[Row]:
    """How true the rings are that can be told of at a moment, and how many planted groups are among them."""
    found = rings(table, end, days=RING_DAYS, links=("device_id",), household=HOUSEHOLD)
    late = table[(table["event_timestamp"] >= end - pd.Timedelta(days=RING_DAYS)) & (table["event_timestamp"] < end)]
    before = table[table["event_timestamp"] < end]
    known = set(before.loc[before["is_fraud"] & (before["label_timestamp"] <= end), "device_id"])
    ever, users = (part.groupby("device_id")["user_id"].nunique() for part in (before, late))
    tying = set(ever.index[ever > HOUSEHOLD]) | known
    shared = late[late["device_id"].isin(tying & set(users.index[users >= 2]))]
    ring = shared["user_id"].map(found.set_index("user_id")["ring"])
    honest = (~shared["was_fraud"]).groupby(ring).sum()
    planted = people["group"].reindex(late["user_id"].unique()).dropna()
    planted = planted[planted.groupby(planted).transform("size") >= 3]
    groups = planted.index.isin(found["user_id"]).astype(float)
    accomplices = people["group"].reindex(found["user_id"]).notna().mean() if len(found) else 0.0
    rows = [
        Row("rings found", float(len(honest))),
        Row("rings found that are true", float((honest == 0).mean()) if len(honest) else 0.0, 0.9),
        Row("customers in rings who are of a planted group", float(accomplices)),
    ]
    return rows + ([Row("active customers of planted groups found", float(groups.mean()))] if len(groups) else [])


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
    detector = FraudDetector(WINDOWS, LABEL_WINDOWS, boosting=TREES, threads=options.threads, rings=True)
    detector.fit(table, known, until=start + pd.Timedelta(days=LEARNED))
    asked = (table["day"] >= KNOWN).to_numpy()
    test = table[asked].reset_index(drop=True)
    features = detector.features(table, asked).reset_index(drop=True)
    probability = detector.events.predict(features)
    fraud, amount = test["was_fraud"].to_numpy(bool), test["amount"].to_numpy(float)
    costs = Costs()
    acts = decide_payments(test, probability, costs, options.capacity)["action"].to_numpy()
    hit = np.any([hits(parse(rule, list(features)), features) for rule in RULES], axis=0)
    loss = costs.missed * amount + costs.fee
    worth = costs.caught * probability * loss - costs.review
    ways = {
        "model": acts,
        "rules": np.where(hit, "block", "allow"),
        "oracle": np.where(fraud, "block", "allow"),
        "model looks": looks(test, worth, worth > 0, options.capacity),
        "rules look": looks(test, amount, hit, options.capacity),
        "oracle looks": looks(test, loss, fraud, options.capacity),
    }
    saved = money(ways, fraud, amount, costs).set_index("way")["saved"]
    own = figures(test.assign(is_fraud=fraud, card_id=test["user_id"]), probability)
    rows = [
        Row("saved with equal looks ÷ oracle's", float(saved["model looks"] / saved["oracle looks"]), 0.85),
        Row("the same by rules alone", float(saved["rules look"] / saved["oracle looks"])),
        Row("saved with blocks ÷ oracle that blocks all", float(saved["model"] / saved["oracle"])),
        Row("the same by rules alone, blocking", float(saved["rules"] / saved["oracle"])),
        *(Row(f"{what} of all frauds", own[what]) for what in ("AUC", "AP", "recall at 1 % false positives")),
        Row("share of payments that are fraud", float(fraud.mean())),
        Row("mean probability", float(probability.mean()), float(fraud.mean())),
    ]
    stopped = acts != "allow"
    rows.append(Row("honest payments stopped or looked at", float(stopped[~fraud].mean())))
    for kind, part in pd.DataFrame({"kind": test["kind"], "stopped": stopped})[fraud].groupby("kind"):
        rows.append(Row(f"recall: {kind}", float(part["stopped"].mean())))
    days = test["day"].to_numpy()[fraud]
    for week, part in pd.Series(stopped[fraud]).groupby((days - KNOWN) // 7):
        tactic = (KNOWN + 7 * int(week)) // TACTIC_DAYS
        rows.append(Row(f"recall in week {week + 1}, tactic {tactic + 1}", float(part.mean())))
    likeliest = np.argsort(-probability, kind="stable")[: len(test) // 50]
    rows.append(
        Row(
            "mean probability of the likeliest 2 %",
            float(probability[likeliest].mean()),
            float(fraud[likeliest].mean()),
        )
    )
    rows += ring_rows(table, people, start + pd.Timedelta(days=DAYS))
    report("risk_simulated", f"{options.users:,} people, {DAYS} days, seed {options.seed}", rows)


if __name__ == "__main__":
    main()
