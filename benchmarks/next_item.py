"""The next item of anonymous shop sessions: what the benchmarks of sessions share.

Protocol: fit on the sessions of `train.parquet`; for each prefix of `test.parquet` rank all items and look where the
item that came next stands. P@20: share of prefixes whose next item is among the first 20. MRR@20: mean of 1 / rank, 0
beyond 20. Nothing is learned from the test file, and no prefix sees another. Items are numbered by first appearance in
these files, so `SessionRecommender` and every retriever work on codes drawn at random. Without timestamps the order of
the session ids is the order of time. With --validate the newest training sessions take the place of the test file;
settings are chosen that way alone.

Each retriever alone, and the whole, runs in a process of its own: seconds are fitting and answering, the reading of the
file left out; memory is the greatest of that process. One answer: 1,000 prefixes asked for one at a time; CPU time is
what an answer costs also where other work shares the machine.
"""

import argparse
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.report import Row, report
from ecomine.recommendation.sessions import RETRIEVERS, SessionParams, SessionRecommender
from ecomine.recommendation.sessions.log import Sessions, item_index
from ecomine.recommendation.sessions.pairs import best, place_in_row

K = 20
WHOLE = "SessionRecommender"
ONE_ANSWER_MS = 10.0
ASKED_ALONE = 1000
BLOCK = 2048


@dataclass(frozen=True)
class Case:
    """A data set: its folder, events of the shortest prefix, validation sessions, and what must be exceeded."""

    folder: str
    shortest_prefix: int
    validation_sessions: int
    precision: float
    reciprocal_rank: float


@dataclass(frozen=True)
class Outcome:
    """What one retriever, or the whole, reached, and what it took."""

    precision: float
    reciprocal_rank: float
    seconds: float
    cpu_seconds: float
    memory: float
    one_answer: tuple[float, float, float] | None = None
    """Median, 99th percentile, and 99th percentile of CPU time, in milliseconds."""


def main(name: str, case: Case) -> None:
    """Measure every retriever and the whole, and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of the public data sets")
    parser.add_argument("--threads", type=int, default=2, help="threads of XGBoost")
    parser.add_argument("--validate", action="store_true", help="measure on the newest training sessions, not the test")
    options = parser.parse_args()
    for file in ("train.parquet", "test.parquet"):
        if not (options.data / case.folder / file).exists():
            raise SystemExit(
                f"{options.data / case.folder / file} is not there; give the folder of the data by --data."
            )
    rows: list[Row] = []
    for what in (*RETRIEVERS, WHOLE):
        # A process that starts afresh, so that its peak memory is its own.
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            outcome = pool.submit(_measure, what, case, options.data, options.threads, options.validate).result()
        print(f"  {what}: {outcome}", file=sys.stderr, flush=True)
        before = "" if what == WHOLE else f"{what} alone: "
        rows += [
            Row(f"{before}P@20", outcome.precision, case.precision),
            Row(f"{before}MRR@20", outcome.reciprocal_rank, case.reciprocal_rank),
            Row(f"{before}seconds", outcome.seconds),
            Row(f"{before}CPU seconds", outcome.cpu_seconds),
            Row(f"{before}peak GB", outcome.memory),
        ]
        if outcome.one_answer is not None:
            told = ("median ms", "p99 ms", "p99 CPU ms")
            rows += [
                Row(f"one answer, {measure}", value, ONE_ANSWER_MS)
                for measure, value in zip(told, outcome.one_answer, strict=True)
            ]
    place = "the newest training sessions" if options.validate else "test"
    report(
        name,
        f"fitted on train, measured on {place}; rows without a name are {WHOLE}; reference: the figure to exceed",
        rows,
    )


def _measure(what: str, case: Case, data: Path, threads: int, validate: bool) -> Outcome:
    train, prefixes, follows = _read(case, data / case.folder, validate)
    if what == WHOLE:
        started, cpu = time.perf_counter(), time.process_time()
        params = SessionParams(shortest_prefix=case.shortest_prefix)
        model = SessionRecommender(params, threads=threads).fit(train)
        answer = model.recommend(prefixes, K)
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu
        hit = answer["item_id"].to_numpy() == follows[answer["session_id"].to_numpy()]
        rank = answer["rank"].to_numpy()[hit]
        one_answer = _one_answer(lambda items: model.next_items(items, K), prefixes)
        return _outcome(rank, len(follows), seconds, cpu_seconds, one_answer)
    items = item_index(train, 42)
    sessions, asked, code = Sessions.of(train, items), Sessions.of(prefixes, items), items.get_indexer(follows)
    started, cpu, ranks = time.perf_counter(), time.process_time(), []
    retriever = RETRIEVERS[what](SessionParams()).fit(sessions)
    for first in range(0, len(asked), BLOCK):
        block = asked.part(first, min(first + BLOCK, len(asked)))
        row, item, _ = best(retriever.scores(block), K)
        ranks.append(place_in_row(row, len(block))[item == code[first:][row]] + 1)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu
    return _outcome(np.concatenate(ranks), len(asked), seconds, cpu_seconds)


def _read(case: Case, folder: Path, validate: bool) -> tuple[pd.DataFrame, pd.DataFrame, np.ndarray]:
    """Training sessions, prefixes (their number is the session id), and the item that follows each."""
    train = pd.read_parquet(folder / "train.parquet")
    if not validate:
        test = pd.read_parquet(folder / "test.parquet")
        return train, _frame(test["prefix"].to_numpy()), test["next_item"].to_numpy()
    newest = train["session_id"] >= np.unique(train["session_id"])[-case.validation_sessions]
    later, train = train[newest], train[~newest]
    # As in the test files: items that training does not know are left out of the sessions.
    later = later[later["item_id"].isin(train["item_id"])]
    items = pd.Index(np.unique(train["item_id"]))
    prefixes, follows = Sessions.of(later, items).prefixes(case.shortest_prefix)
    frame = pd.DataFrame({"session_id": prefixes.row, "position": prefixes.place, "item_id": items[prefixes.item]})
    return train, frame, items.to_numpy()[follows]


def _frame(prefixes: np.ndarray) -> pd.DataFrame:
    length = np.array([len(prefix) for prefix in prefixes])
    session = np.repeat(np.arange(len(prefixes)), length)
    position = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
    return pd.DataFrame({"session_id": session, "position": position, "item_id": np.concatenate(prefixes)})


def _outcome(
    rank: np.ndarray,
    asked: int,
    seconds: float,
    cpu_seconds: float,
    one_answer: tuple[float, float, float] | None = None,
) -> Outcome:
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return Outcome(len(rank) / asked, float((1 / rank).sum() / asked), seconds, cpu_seconds, memory, one_answer)


def _one_answer(answer: Callable[[list[object]], list[object]], prefixes: pd.DataFrame) -> tuple[float, float, float]:
    """Median, 99th percentile, and 99th percentile of CPU time, of one answer in ms, over prefixes evenly spaced."""
    asked = np.linspace(0, prefixes["session_id"].iloc[-1], ASKED_ALONE, dtype=int)
    running = prefixes[prefixes["session_id"].isin(asked)].groupby("session_id")["item_id"].agg(list)
    taken = []
    for items in running:
        started, cpu = time.perf_counter(), time.process_time()
        answer(items)
        taken.append((time.perf_counter() - started, time.process_time() - cpu))
    wall, cpu_time = np.array(taken).T * 1000
    return float(np.median(wall)), float(np.percentile(wall, 99)), float(np.percentile(cpu_time, 99))
