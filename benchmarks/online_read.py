"""Reading the online store: p50 and p99 of one answer against Feast's `get_online_features`, from SQLite and Redis.

Protocol: the same entities with 20 features in our store and in Feast's own SQLite and Redis online stores. A question
asks for 1 or for 100 entities that are there, others each time; all sides answer the same questions, 25 in a row and
then the next side, the first three of each row uncounted, since they find the processor's caches full of the other
side's work. Like stands against like: `read_detailed` (values in memory with age and status) against Feast's
`get_online_features` with a feature service it already has and `to_dict`; `read` (a DataFrame in, a DataFrame out)
against the same and `to_df`. All answers are compared.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.report import Row, report
from benchmarks.wide import AS_OF, FEATURES, TABLE, quiet, redis_binary, stock_feast, stock_online, write
from ecomine.engine import connect
from ecomine.feature_store.materialization import Source, fill
from ecomine.feature_store.online import OnlineReader
from ecomine.feature_store.online_backend import backend_of
from ecomine.params import EngineParams, OnlineParams
from tests.servers import redis_server

BLOCK = 25
"""Questions in a row to one side: a disturbance from outside meets all of them."""

COLD = 3
"""Questions at the start of each row that are not counted."""


def main() -> None:
    """Ask both sides in turn and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entities", type=int, default=20_000)
    parser.add_argument("--questions", type=int, default=1500)
    parser.add_argument("--data", help="not needed: the data is simulated")
    options = parser.parse_args()
    random, rows = np.random.default_rng(7), []
    with tempfile.TemporaryDirectory() as name, redis_server(redis_binary()) as url:
        folder = Path(name)
        write(folder / "rows.parquet", options.entities)
        for kind in ("sqlite", "redis"):
            reader = _reader(folder, kind, url)
            with quiet():
                store = stock_feast(folder / f"feast_{kind}", folder / "rows.parquet", stock_online(kind, folder, url))
                store.materialize(AS_OF - timedelta(days=364), AS_OF + timedelta(seconds=1))
            service = store.get_feature_service("all")
            for count, questions in ((1, options.questions), (100, options.questions // 3)):
                asked = random.integers(0, options.entities, (questions, count))
                seconds = _ask(reader, store, service, asked)
                for side, peer in (("read_detailed", "to_dict"), ("read", "to_df")):
                    for share in (50, 99):
                        rows.append(
                            Row(
                                f"{kind}, {count} entities, {side}: p{share}, ms",
                                float(np.percentile(seconds[side], share)) * 1e3,
                                float(np.percentile(seconds[peer], share)) * 1e3,
                            )
                        )
    report("online_read", f"{options.questions} questions; 20 features; reference: Feast's get_online_features", rows)


def _reader(folder: Path, kind: str, url: str) -> OnlineReader:
    workspace = folder / f"ours_{kind}"
    (workspace / "data/online").mkdir(parents=True)
    settings = OnlineParams(kind=kind, url=None if kind == "sqlite" else url)
    store = backend_of(settings, workspace)
    with connect(EngineParams(), workspace / "data/.spill") as connection:
        source = Source(TABLE, folder / "rows.parquet")
        fill(connection, store, [source], AS_OF, workspace / "data/online", settings)
    return OnlineReader.of([TABLE], store)


def _ask(reader: OnlineReader, store: Any, service: Any, asked: np.ndarray) -> dict[str, list[float]]:
    """Seconds of each side for each question; stops where two answers differ."""

    def feast(users: list[str]) -> Any:
        return store.get_online_features(features=service, entity_rows=[{"user_id": user} for user in users])

    sides: dict[str, Callable[[list[str]], Any]] = {
        "read_detailed": lambda users: reader.read_detailed({"user_id": users}),
        "read": lambda users: reader.read(pd.DataFrame({"user_id": users})),
        "to_dict": lambda users: feast(users).to_dict(),
        "to_df": lambda users: feast(users).to_df(),
    }
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    questions = [[f"u{one:08d}" for one in numbers] for numbers in asked]
    for start in range(0, len(questions), BLOCK):
        answers: dict[str, list[Any]] = {side: [] for side in sides}
        for side, answer in sides.items():
            for number, users in enumerate(questions[start : start + BLOCK]):
                begun = time.perf_counter()
                answers[side].append(answer(users))
                if number >= COLD:
                    seconds[side].append(time.perf_counter() - begun)
        for detailed, frame, theirs, table in zip(*answers.values(), strict=True):
            expected = np.array([theirs[name] for name in FEATURES], dtype=np.float64).T
            if not np.array_equal(detailed.values, expected, equal_nan=True):
                raise SystemExit("read_detailed answers otherwise than Feast.")
            for given in (frame[reader.features], table[list(FEATURES)]):
                if not np.array_equal(given.to_numpy(dtype=np.float64), expected, equal_nan=True):
                    raise SystemExit("A DataFrame holds other values than Feast gave.")
    return seconds


if __name__ == "__main__":
    main()
