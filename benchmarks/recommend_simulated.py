"""What lists are worth on a shop whose truth is known: expected margin, against the best that anybody could show.

Protocol: a simulated shop, the road up to training; then the true expected margin of showing each listed product to its
customer (taste, appeal, today's prices, margin: `oracle.list_value`) is added up over the first ten places. The oracle
lists the ten products with the greatest true value; `popularity` and `personal_top` are the baselines; the model ranks
by probability (`margin_weight` 0) and by expected margin (1), the latter also with a tenth of the places exploring.
Only customers who are still there and products that are on sale count. References are the oracle's figure.
"""

import argparse
import dataclasses
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.report import Row, report
from benchmarks.workspaces import walk, workspace
from ecomine import feature_store
from ecomine.domains import DOMAINS
from ecomine.recommendation.evaluation import filled_up, popularity
from ecomine.recommendation.policy import decide, top
from ecomine.shops import TRUTH, simulate
from ecomine.simulation import demand, oracle

K = 10


def main() -> None:
    """Simulate, learn, propose, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="not needed: the shop is simulated")
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--items", type=int, default=1500)
    parser.add_argument("--days", type=int, default=180)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = workspace(Path(name) / "workspace", source="simulated")
        simulate(folder, {"users": arguments.users, "items": arguments.items, "days": arguments.days})
        context = walk(folder, "train")
        domain = DOMAINS["recommendation"]
        model = domain.load(folder / "models/recommendation")
        frame = feature_store.point_in_time(folder, domain.request(model, None), domain.service)
        params = dataclasses.replace(context.params.sections["recommendation"], list_length=K, exploration_share=0.0)
        pairs = frame[["user_id", "item_id"]]
        lists = {
            "model by probability": decide(model, frame, params),
            "model by expected margin": decide(model, frame, dataclasses.replace(params, margin_weight=1.0)),
            "the same, a tenth exploring": decide(
                model, frame, dataclasses.replace(params, margin_weight=1.0, exploration_share=0.1)
            ),
            "personal_top": top(pairs, filled_up(frame, "personal_orders"), K),
            "popularity": top(pairs, popularity(frame), K),
        }
        value = true_value(folder / TRUTH, arguments.days)
    live = value.columns
    best = np.sort(value.to_numpy(), axis=1)[:, -K:].sum(axis=1).mean()
    rows = [Row("oracle, margin a list", best, best)]
    for method, shown in lists.items():
        shown = shown[shown["user_id"].isin(value.index) & shown["item_id"].isin(live)]
        user, item = value.index.get_indexer(shown["user_id"]), live.get_indexer(shown["item_id"])
        rows.append(Row(f"{method}, margin a list", value.to_numpy()[user, item].sum() / len(value), best))
    report("recommend_simulated", f"true expected margin of the first {K} places, {len(value):,} customers", rows)


def true_value(truth: Path, days: int) -> pd.DataFrame:
    """Customers × products on sale: the true expected margin of showing the one the other on the last day."""
    people, items = oracle.read(truth, "people"), oracle.read(truth, "items")
    people = people[(people["role"] == "honest") & (people["signup_day"] < days) & (people["end_day"] >= days)]
    last = oracle.read(truth, "demand")
    last = last[last["day"] == days - 1].groupby("item_id")[["price", "log_ratio", "context", "attention"]].mean()
    items = items.set_index("item_id").loc[last.index]
    factor = demand.expected_response(last["log_ratio"].to_numpy(), items["elasticity"].to_numpy())
    factor = factor * np.exp(last["context"].to_numpy()) * last["attention"].to_numpy()
    tastes = [name for name in items.columns if name.startswith("taste_")]
    value = oracle.list_value(
        people[tastes].to_numpy(),
        items[tastes].to_numpy(),
        items["appeal"].to_numpy(),
        (last["price"] - items["unit_cost"]).to_numpy(),
        factor,
    )
    return pd.DataFrame(value, people["user_id"].astype(str), items.index.astype(str))


if __name__ == "__main__":
    main()
