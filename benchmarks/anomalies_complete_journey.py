"""Anomalies without labels on The Complete Journey: how many of ten injected kinds are found at a review rate of 1 %.

Protocol: the detector learns from the orders of DAYS days before the last 28 and sees no anomaly. Into the last 28 days
0.1 % of the orders are injected, equally many of each of ten kinds, drawn anew for each of ten seeds; the 1 % strangest
orders of the 28 days are looked at. A run of orders counts once, and is found with any of its orders. Beside it: the
isolation forest alone on the same columns, and the orders of the greatest value. Kinds, columns and settings were
chosen on the four weeks before 20 August and before 15 November 2017 (670 anomalies, counted against the strangest
untouched orders); the figures are of December and of the seeds from 101 on.
"""

import argparse

import duckdb
import numpy as np
import pandas as pd

from benchmarks.report import Row, report
from ecomine.params import Params
from ecomine.risk import AnomalyDetector
from ecomine.risk.injection import KINDS, inject
from ecomine.risk.orders import ORDER_COLUMNS, order_features
from ecomine.sources import complete_journey

DAYS, TEST_DAYS = 120, 28
SHARE, RATE = 0.001, 0.01
FIRST_SEED, SEEDS = 101, 10


def order_lines(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """The lines that cleaning would let through."""
    from pathlib import Path

    tables = dict(complete_journey.read(connection, Params(), Path()))
    return tables["order_lines"].filter("unit_price >= 0 AND quantity > 0 AND quantity <= 1000").df()


def found(score: np.ndarray, orders: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """A row an anomaly: kind, and whether one of its orders is among the RATE highest scores (ties by order_id)."""
    turn = np.lexsort((orders["order_id"].to_numpy(), -score))
    looked = set(orders["order_id"].to_numpy()[turn[: int(RATE * len(orders))]])
    hit = truth.assign(found=truth["order_id"].isin(looked))
    return hit.groupby("anomaly").agg(kind=("kind", "first"), found=("found", "max"))


def main() -> None:
    """Learn once, inject and look ten times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="not needed: the data come with a package")
    parser.add_argument("--until", default="2018-01-01", help="end of the 28 days")
    parser.add_argument("--seed", type=int, default=FIRST_SEED, help="first of the seeds")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    connection = duckdb.connect()
    connection.execute(f"SET threads = {options.threads}; SET enable_progress_bar = false")
    until = pd.Timestamp(options.until)
    start = until - pd.Timedelta(days=TEST_DAYS)
    lines = order_lines(connection)
    lines = lines[lines["event_timestamp"] < until]
    columns = list(ORDER_COLUMNS)
    learnt = order_features(connection, connection.from_df(lines), start - pd.Timedelta(days=DAYS), start)
    detector = AnomalyDetector(threads=options.threads).fit(learnt[columns])
    ways: dict[str, list[pd.DataFrame]] = {"detector": [], "isolation forest alone": [], "greatest value": []}
    for seed in range(options.seed, options.seed + options.seeds):
        spoilt, truth = inject(lines, start, SHARE, seed)
        orders = order_features(connection, connection.from_df(spoilt), start, until)
        told = orders[columns]
        ways["detector"].append(found(detector.score(told), orders, truth))
        ways["isolation forest alone"].append(found(detector.forest.isolation(told.to_numpy(float)), orders, truth))
        ways["greatest value"].append(found(orders["amount"].to_numpy(), orders, truth))
    pooled = {way: pd.concat(parts) for way, parts in ways.items()}
    own = pooled["detector"]
    rows = [Row("found at a review rate of 1 %", float(own["found"].mean()), 0.95)]
    rows += [Row(f"found by {way}", float(part["found"].mean())) for way, part in pooled.items() if way != "detector"]
    rows += [Row(f"found: {kind}", float(own.loc[own["kind"] == kind, "found"].mean())) for kind in KINDS]
    rows += [Row("injected anomalies", float(len(own))), Row("orders looked through a seed", float(len(orders)))]
    report("anomalies_complete_journey", f"{TEST_DAYS} days before {until:%Y-%m-%d}, {options.seeds} seeds", rows)


if __name__ == "__main__":
    main()
