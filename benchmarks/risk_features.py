"""Velocities of payments over all windows: seconds and memory for many millions, beside the same windows in pandas.

Protocol: payments of a made-up shop (customers with a card, a device and an address of their own, now and then others)
in order of time over a year. `velocities` tells each its 106 features: five windows from ten minutes to thirty days of
card, person, device, address and network, company, novelty, distance from habit. Payments are taken in blocks of
customers, so that memory is bounded: who share a card, a device, an address or a network belong to the same block
(`rings.people_blocks` deals them so). pandas has the same counts and sums by
`groupby().rolling()`, on a sample of the customers in which all windows are full, and its seconds are told a million
payments. Peak memory is that of the whole process; the table of payments itself is in it.
"""

import argparse
import resource
import time
from collections.abc import Iterator

import numpy as np
import pandas as pd

from benchmarks.report import Row, report
from ecomine.risk.rings import people_blocks
from ecomine.risk.velocity import ENTITIES, WINDOWS, names, velocities

YEAR = 365 * 86_400
LENGTHS = {"10m": "10min", "1h": "1h", "1d": "1D", "7d": "7D", "30d": "30D"}


def payments(count: int, seed: int) -> pd.DataFrame:
    """Payments in order of time; codes in place of texts, as a table of so many rows would have them."""
    random = np.random.default_rng(seed)
    people = max(count // 25, 1)
    user = random.integers(0, people, count, np.int32)
    time = np.sort(random.integers(0, YEAR, count, np.int64))
    home = user // 2
    away = random.random(count, np.float32) < 0.05
    return pd.DataFrame(
        {
            "payment_id": np.arange(count, dtype=np.int64),
            "event_timestamp": (time * 1_000_000).view("datetime64[us]"),
            "amount": np.round(random.lognormal(3.0, 1.0, count), 2),
            "user_id": user,
            "card_id": user * 2 + (random.random(count, np.float32) < 0.1),
            "device_id": np.where(away, home * 2 + 1, home * 2).astype(np.int32),
            "address_id": home,
            "ip": home,
        }
    )


def blocks(table: pd.DataFrame, rows: int) -> Iterator[pd.DataFrame]:
    """Parts of the payments, about `rows` each, that share nobody and nothing."""
    block = people_blocks(table, [name for name in ENTITIES if name != "user_id"], rows)
    order = np.argsort(block, kind="stable")
    ends = np.cumsum(np.bincount(block))
    for start, end in zip(np.append(0, ends[:-1]), ends, strict=True):
        yield table.iloc[np.sort(order[start:end])]


def in_pandas(table: pd.DataFrame) -> pd.DataFrame:
    """Counts and sums of every entity and window, this payment with them."""
    timed = table.set_index("event_timestamp")
    found = {}
    for name in ENTITIES:
        groups = timed.groupby(name)["amount"]
        for label, window in LENGTHS.items():
            rolled = groups.rolling(window)
            found[f"{name}_count_{label}"] = rolled.count().to_numpy()
            found[f"{name}_sum_{label}"] = rolled.sum().to_numpy()
    return pd.DataFrame(found)


def main() -> None:
    """Make payments, take the time of both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="not needed: the payments are made up")
    parser.add_argument("--payments", type=int, default=10_000_000)
    parser.add_argument("--block", type=int, default=500_000, help="payments a block, about")
    parser.add_argument("--sample", type=int, default=200_000, help="payments told in pandas")
    options = parser.parse_args()
    begun = time.perf_counter()
    table = payments(options.payments, 1)
    made = time.perf_counter()
    told, checked = 0, 0.0
    for part in blocks(table, options.block):
        found = velocities(part)
        told += len(found)
        checked += float(found["user_payments_30d"].sum())
    spent = time.perf_counter() - made
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    people = options.sample / options.payments * table["user_id"].max()
    sample = table[table["user_id"] < people]
    start = time.perf_counter()
    in_pandas(sample)
    slow = (time.perf_counter() - start) / len(sample) * 1e6
    start = time.perf_counter()
    velocities(sample)
    quick = (time.perf_counter() - start) / len(sample) * 1e6
    rows = [
        Row("payments told", float(told)),
        Row("features a payment", float(len(names()))),
        Row("seconds", spent),
        Row("seconds a million payments", spent / told * 1e6, slow),
        Row("peak memory, GB", memory),
        Row("seconds to make the payments up", made - begun),
        Row(f"seconds a million, the sample of {len(sample):,}", quick, slow),
        Row("mean payments of a person in 30 days", checked / told),
    ]
    report(
        "risk_features", f"{len(ENTITIES)} entities, {len(WINDOWS)} windows; reference: pandas, counts and sums", rows
    )


if __name__ == "__main__":
    main()
