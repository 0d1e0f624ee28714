"""Profiles of a simulated shop beside its truth: lifetime value, price sensitivity, kinds of customers.

Protocol: a clean simulated shop of a seed that nothing was chosen on; the domain as it is, without the feature store.
Value: rank correlation of the value told at the end with the true expectation of the 42 days after (visits a day ×
needs a visit × days until the end of the customer's life), of the lifetime model and of trees on top of it; baseline
is past money a day. Price sensitivity: rank correlation of the portrait with the truth, of everybody and of those with
20 orders or more. Segments: adjusted Rand index with the planted kinds, of all honest customers and of those with at
least three orders; the segmenter chooses their number by itself. Baseline is k-means on recency, frequency and money,
each by its spread, with the true number of kinds.
"""

import argparse
import tempfile
from datetime import timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from benchmarks.report import Row, report
from ecomine.domain import Inputs
from ecomine.params import Params, SimulationParams
from ecomine.profiling import DOMAIN, ProfilingParams, Segmenter
from ecomine.simulation import oracle, simulate
from ecomine.sources import simulated

LEAST_ARI = 0.6


def main() -> None:
    """Simulate, profile, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="not needed: the shop is simulated")
    parser.add_argument("--users", type=int, default=800)
    parser.add_argument("--items", type=int, default=600)
    parser.add_argument("--days", type=int, default=240)
    parser.add_argument("--seed", type=int, default=77)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    settings = SimulationParams(
        users=options.users, items=options.items, days=options.days, seed=options.seed, dirt=0.0
    )
    params = ProfilingParams()
    with tempfile.TemporaryDirectory() as name, duckdb.connect() as connection:
        folder = Path(name)
        simulate(settings, folder / "data/raw", folder / "truth")
        tables = dict(simulated.read(connection, Params(source="simulated"), folder))
        truth = oracle.read(folder / "truth", "people")
        as_of = settings.start + timedelta(days=options.days)
        inputs = Inputs(connection, tables, as_of, params, 42, options.threads)
        model = DOMAIN.fit(DOMAIN.label(inputs).train, inputs)
        frame = DOMAIN.request(model, None)
        told = DOMAIN.decide(model, frame, params)
    truth = truth.assign(user_id=truth["user_id"].astype(str))
    both = told.merge(frame[["user_id", "expected_value", "age_days"]], on="user_id").merge(truth, on="user_id")
    both = both[both["role"] == "honest"]
    left = np.clip(np.minimum(both["end_day"], options.days + params.horizon_days) - options.days, 0, None)
    worth = both["visits_per_day"] * both["basket"] * left
    past = both["money"] / np.maximum(both["age_days"], 1)
    rows = [
        Row("value, rank correlation with the truth", _rank(both["value"], worth), _rank(past, worth)),
        Row("lifetime model, rank correlation", _rank(both["expected_value"], worth), _rank(past, worth)),
        Row("price sensitivity, rank correlation", _rank(both["price_sensitivity"], both["sensitivity"])),
    ]
    often = both[both["frequency"] >= 20]
    rows.append(Row("the same, 20 orders or more", _rank(often["price_sensitivity"], often["sensitivity"])))
    plain = Segmenter(both["kind"].nunique()).fit(both[["recency_days", "frequency", "money"]])
    both = both.assign(plain=plain.predict(both[["recency_days", "frequency", "money"]]))
    for name, some in (("segments, adjusted Rand index", both), ("with 3 orders", both[both["frequency"] >= 3])):
        rows.append(Row(name, _index(some["kind"], some["segment"]), LEAST_ARI))
        rows.append(Row(f"{name}: k-means on RFM", _index(some["kind"], some["plain"]), LEAST_ARI))
    rows.append(Row("number of segments", float(both["segment"].nunique()), float(both["kind"].nunique())))
    report("profiles_simulated", f"{len(both):,} honest customers, {options.days} days, seed {options.seed}", rows)


def _rank(one: pd.Series, other: pd.Series) -> float:
    return float(np.corrcoef(one.rank(), other.rank())[0, 1])


def _index(kind: pd.Series, found: pd.Series) -> float:
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(kind, found))


if __name__ == "__main__":
    main()
