"""Two stages at scale: 10 million interactions of 500,000 users with 50,000 items, beside ALS of `implicit`.

Protocol: simulated by NumPy with a fixed seed: users have tastes (groups of items) and items a Zipf popularity; the
last interaction of each user is the test. Two stages: seconds to train, seconds to write the top 20 of every user to
Parquet, peak memory of the process so far, NDCG@20, and the time of single answers. Beside it, in the same run and on
the same number of threads: `implicit`'s ALS (64 factors, 15 iterations), fit and recommend for every user. ALS runs
second, so its peak memory includes the first's.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from benchmarks.recommend_data import measure
from benchmarks.report import Row, report
from ecomine.recommendation.interactions import Interactions
from ecomine.recommendation.retrievers import CoView, ItemKNN, Popularity
from ecomine.recommendation.two_stage import RANKING, TwoStageRecommender
from ecomine.store import write_frame

GROUPS = 500
K = 20
ANSWERS = 1000


def simulate(rows: int, users: int, items: int, seed: int = 1) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Train and test: user_id, item_id, position; each user has three tastes and walks from item to near item."""
    random = np.random.default_rng(seed)
    activity = random.lognormal(0.0, 0.8, users)
    user = np.sort(random.choice(users, rows, p=activity / activity.sum()))
    taste = random.integers(GROUPS, size=(users, 3))
    size = items // GROUPS
    group = taste[user, random.integers(3, size=rows)]
    place = np.minimum((size * random.random(rows) ** 2.5).astype(np.int64), size - 1)
    near = np.minimum(np.concatenate([[0], place[:-1]]) + 1, size - 1)
    place = np.where(random.random(rows) < 0.3, near, place)
    anywhere = np.minimum((items * random.random(rows) ** 3).astype(np.int64), items - 1)
    item = np.where(random.random(rows) < 0.75, group * size + place, anywhere)
    names = random.permutation(items)
    frame = pd.DataFrame({"user_id": user, "item_id": names[item], "position": np.arange(rows)})
    last = ~frame.duplicated("user_id", keep="last") & frame.duplicated("user_id", keep="first")
    return frame[~last].reset_index(drop=True), frame[last].reset_index(drop=True)


def main() -> None:
    """Measure both and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="not needed: the data is simulated")
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--users", type=int, default=500_000)
    parser.add_argument("--items", type=int, default=50_000)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    train, test = simulate(options.rows, options.users, options.items)
    test = test.sort_values("user_id", ignore_index=True)

    begun = time.monotonic()
    data = Interactions.of(train)
    model = TwoStageRecommender(
        retrievers={
            "popularity": Popularity(1e6),
            "item-kNN": ItemKNN(half_life=5.0, last=20, neighbours=50, limit=100),
            "what follows": CoView(last=3, direction="after", window=2, neighbours=50),
        },
        candidates=25,
        folds=1,
        ranking=RANKING.__class__(max_rounds=60, max_depth=4, learning_rate=0.15, pairs=1, min_child_weight=2.0),
        rows=500_000,
        threads=options.threads,
    ).fit(data)
    trained = time.monotonic() - begun
    begun = time.monotonic()
    lists = model.recommend(None, K)
    with tempfile.TemporaryDirectory() as folder:
        write_frame(Path(folder) / "lists.parquet", lists)
    written = time.monotonic() - begun
    peak = _peak()
    ours = measure(lists, test, K)[f"NDCG@{K}"]
    asked = np.random.default_rng(2).choice(data.users, ANSWERS)
    model.recommend(asked[:1], K)
    spent = np.array([_timed(model, one) for one in asked])
    print("two stages", trained, written, peak, ours, np.quantile(spent, [0.5, 0.99]), flush=True)

    fitted, answered, theirs = _als(data, test, options.threads)
    popular = measure(Popularity(1e6).fit(data).recommend(None, K), test, K)[f"NDCG@{K}"]
    report(
        "recommend_scale",
        f"{options.rows:,} interactions, {options.users:,} users, {options.items:,} items; reference: ALS of implicit",
        [
            Row("seconds to train", trained, fitted),
            Row("seconds to write every user's top 20", written, answered),
            Row("seconds, both", trained + written, fitted + answered),
            Row("peak memory, GB", peak, _peak()),
            Row(f"NDCG@{K}", ours, theirs),
            Row(f"popularity NDCG@{K}", popular),
            Row("single answer, ms, median", float(np.quantile(spent, 0.5) * 1e3)),
            Row("single answer, ms, p99", float(np.quantile(spent, 0.99) * 1e3), 10.0),
        ],
    )


def _als(data: Interactions, test: pd.DataFrame, threads: int) -> tuple[float, float, float]:
    """Seconds to fit and to recommend, and NDCG."""
    from implicit.cpu.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        begun = time.monotonic()
        seen = sparse.csr_matrix(data.binary, dtype=np.float32)
        model = AlternatingLeastSquares(factors=64, iterations=15, num_threads=threads, random_state=1)
        model.fit(seen, show_progress=False)
        fitted = time.monotonic() - begun
        begun = time.monotonic()
        found, _ = model.recommend(np.arange(len(data.users)), seen, N=K)
        answered = time.monotonic() - begun
    lists = pd.DataFrame(
        {
            "user_id": np.repeat(data.users, K),
            "item_id": data.items[found.ravel()],
            "rank": np.tile(np.arange(1, K + 1), len(found)),
        }
    )
    return fitted, answered, measure(lists, test, K)[f"NDCG@{K}"]


def _timed(model: TwoStageRecommender, user_id: object) -> float:
    begun = time.perf_counter()
    model.recommend([user_id], K)
    return time.perf_counter() - begun


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


if __name__ == "__main__":
    main()
