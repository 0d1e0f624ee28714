"""How fast a shop is simulated and written, beside the plainest way to write as many random rows with NumPy.

Protocol: each side in a process of its own, one after the other, at 1 and 10 million events and with `--large` at 100.
The simulator writes all tables of a shop and its truth (1,500 people and 2,000 products for a million events, more days
for ten; 12,000 people, 5,000 products for a hundred); only rows of `events` are counted. The yardstick draws as many
rows of the same columns with NumPy, at random and independent of each other, and writes them with pyarrow: no shop, no
consistency, one table. Seconds are wall time without imports; on a machine that others use, those of
the CPU (all threads) say more; memory is the peak of the process. Figures that should
not grow with days are shown at 28 and at 280 days of the same shop.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.report import Row, report

PROJECT = Path(__file__).parents[1]

SIMULATE = """
import json, resource, sys, time
from pathlib import Path
from ecomine.params import SimulationParams
from ecomine.simulation import simulate
import pyarrow.dataset
users, items, days, folder = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
started, cpu = time.perf_counter(), time.process_time()
simulate(SimulationParams(users=users, items=items, days=days), folder / "raw", folder / "truth")
seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
events = pyarrow.dataset.dataset(folder / "raw/events").count_rows()
print(json.dumps({"events": events, "seconds": seconds, "cpu": cpu, "memory": memory}))
"""

YARDSTICK = """
import json, resource, sys, time
from pathlib import Path
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
count, folder = int(sys.argv[1]), Path(sys.argv[2])
folder.mkdir(parents=True, exist_ok=True)
random = np.random.default_rng(0)
words = [pa.array([f"word {number}" for number in range(size)]) for size in (7, 100, 4, 7)]
def text(words, rows):
    return pa.DictionaryArray.from_arrays(pa.array(random.integers(0, len(words), rows).astype(np.int32)), words)
started, cpu = time.perf_counter(), time.process_time()
writer = None
for first in range(0, count, 122_880):
    rows = min(122_880, count - first)
    table = pa.table({
        "event_id": np.arange(first, first + rows),
        "user_id": random.integers(0, 10_000, rows),
        "session_id": np.sort(random.integers(0, rows // 100 + 1, rows)),
        "item_id": pa.array(random.integers(0, 2_000, rows), mask=random.random(rows) < 0.1),
        "event_type": text(words[0], rows),
        "event_timestamp": pa.array(random.integers(0, 10**15, rows), pa.timestamp("us")),
        "query": text(words[1], rows),
        "position": pa.array(random.integers(1, 9, rows).astype(np.int16), mask=random.random(rows) < 0.4),
        "propensity": pa.array(random.random(rows), mask=random.random(rows) < 0.4),
        "rating": pa.array(random.integers(1, 6, rows).astype(np.int8), mask=random.random(rows) < 0.9),
        "device": text(words[2], rows),
        "referrer": text(words[3], rows),
    })
    if writer is None:
        names = ["event_type", "query", "device", "referrer"]
        writer = pq.ParquetWriter(folder / "rows.parquet", table.schema, use_dictionary=names, store_schema=False)
    writer.write_table(table)
writer.close()
seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
print(json.dumps({"seconds": seconds, "cpu": cpu, "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6}))
"""

SIZES = {"1 million": (1_500, 2_000, 28), "10 million": (1_500, 2_000, 280)}
LARGE = {"100 million": (12_000, 5_000, 365)}


def main() -> None:
    """Run both sides at each size and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="not needed: the shop is simulated")
    parser.add_argument("--large", action="store_true", help="also 100 million events (some 10 GB of disk)")
    options = parser.parse_args()
    rows = []
    for size, shop in {**SIZES, **(LARGE if options.large else {})}.items():
        with tempfile.TemporaryDirectory() as folder:
            ours = _run(SIMULATE, *shop, f"{folder}/shop")
            plain = _run(YARDSTICK, int(ours["events"]), f"{folder}/rows")
        events = ours["events"]
        rows += [
            Row(f"{size}: events", events),
            Row(f"{size}: events a second", events / ours["seconds"], events / plain["seconds"]),
            Row(f"{size}: events a CPU second", events / ours["cpu"], events / plain["cpu"]),
            Row(f"{size}: peak memory, GB", ours["memory"], plain["memory"]),
        ]
    report("simulate", "a whole shop with its truth; reference: as many random rows by NumPy and pyarrow", rows)


def _run(code: str, *arguments: int | str) -> dict[str, float]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
