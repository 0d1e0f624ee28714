"""What the benchmarks of recommendation on public data do alike: each retriever alone, then both rankers on all."""

import argparse
import copy
import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmarks.recommend_data import measure
from benchmarks.report import Row, report
from ecomine.recommendation.interactions import Interactions
from ecomine.recommendation.retrievers import Scorer
from ecomine.recommendation.two_stage import TwoStageRecommender


@dataclass(frozen=True)
class Benchmark:
    """A data set and how it is answered; `references` are the figures to exceed, by measure."""

    name: str
    protocol: str
    load: Callable[[Path], tuple[pd.DataFrame, pd.DataFrame]]
    k: int
    measures: tuple[str, ...]
    references: Mapping[str, float]
    retrievers: Mapping[str, Scorer]
    settings: Mapping[str, object]


def main(benchmark: Benchmark, doc: str | None) -> None:
    """Measure each retriever alone, the whole, and the whole with the plain ranker, and report."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="../shared/data", help="folder of the public data")
    parser.add_argument("--threads", type=int, default=1, help="threads of the trees")
    options = parser.parse_args()
    train, test = benchmark.load(Path(options.data))
    data = Interactions.of(train)
    users, repeat = test["user_id"].unique(), bool(benchmark.settings.get("repeat", False))
    rows = []
    for name, retriever in benchmark.retrievers.items():
        begun = time.monotonic()
        lists = copy.deepcopy(retriever).fit(data).recommend(users, benchmark.k, repeat=repeat)
        rows += _rows(benchmark, f"{name} alone", measure(lists, test, benchmark.k), begun)
    # Any is what **settings of mixed kinds are to the type checker.
    settings: dict = {"retrievers": benchmark.retrievers, "threads": options.threads, **benchmark.settings}
    begun = time.monotonic()
    whole = TwoStageRecommender(**settings)
    frame, lists_of_rows = whole.training(data)
    whole.learn(data, frame, lists_of_rows)
    figures = measure(whole.recommend(users, benchmark.k), test, benchmark.k)
    told = _rows(benchmark, "", figures, begun, benchmark.references)
    begun = time.monotonic()
    plain = TwoStageRecommender(**{**settings, "model": "linear"})
    plain.rank_with(whole, frame, lists_of_rows)
    figures = measure(plain.recommend(users, benchmark.k), test, benchmark.k)
    rows += _rows(benchmark, "linear ranker", figures, begun)
    report(benchmark.name, benchmark.protocol, [*rows, *told])


def _rows(
    benchmark: Benchmark,
    who: str,
    figures: Mapping[str, float],
    begun: float,
    references: Mapping[str, float] | None = None,
) -> list[Row]:
    """Figures of one method, its seconds and the process's peak memory up to now."""
    label = f"{who}, " if who else ""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    measured = [Row(f"{label}{name}", figures[name], (references or {}).get(name)) for name in benchmark.measures]
    rows = [*measured, Row(f"{label}seconds", time.monotonic() - begun), Row(f"{label}peak memory so far, GB", peak)]
    print(who or "two stages", {row.what.split(", ")[-1]: round(row.value, 4) for row in rows}, flush=True)
    return rows
