"""Public data of users and items for the benchmarks of recommendation, as frames, and what all of them measure.

Item numbers in these files follow first appearance, the test included, so they are shuffled with a fixed seed before
anything sees them: they are names and nothing else.
"""

import json
import sys
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd

from ecomine import metrics

SHUFFLE = 20_240_601
"""Seed of the new item numbers."""


def movielens(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """MovieLens-1M, fixed split: train and test, columns user_id and item_id; nothing says what came first."""
    train, test = (_lines(_file(folder, f"ml-1m/{name}.txt")) for name in ("train", "test"))
    return _shuffled(train[["user_id", "item_id"]], test[["user_id", "item_id"]])


def beauty(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Amazon Beauty: all but the last item of each user, with `position`, and the last one."""
    rows = _lines(_file(folder, "amazon_beauty.txt"))
    last = ~rows.duplicated("user_id", keep="last")
    return _shuffled(rows[~last].reset_index(drop=True), rows[last].reset_index(drop=True))


def tafeng(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Ta-Feng: baskets of each user with `order_id` and `position` (the number of the basket), and the next basket."""
    history, future = (_baskets(_file(folder, f"tafeng/{name}.json")) for name in ("history", "future"))
    return _shuffled(history, future[["user_id", "item_id"]])


def measure(lists: pd.DataFrame, truth: pd.DataFrame, k: int) -> dict[str, float]:
    """Recall, NDCG and hit rate at `k`, averaged over the users of `truth` (user_id, item_id)."""
    relevant = truth[["user_id", "item_id"]].drop_duplicates().assign(value=0.0)
    averages = metrics.ranking_by_unit(lists, relevant, k).drop(columns="user_id").mean()
    return {
        f"Recall@{k}": float(averages["recall"]),
        f"NDCG@{k}": float(averages["ndcg"]),
        f"HR@{k}": float(averages["hit"]),
    }


def _file(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.exists():
        sys.exit(f"{path} is not there; pass the folder that holds {name} as --data.")
    return path


def _lines(path: Path) -> pd.DataFrame:
    rows = [np.array(line.split(), np.int64) for line in path.read_text().splitlines() if line]
    size = np.array([len(row) - 1 for row in rows])
    user = np.repeat([row[0] for row in rows], size)
    position = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
    return pd.DataFrame({"user_id": user, "item_id": np.concatenate([row[1:] for row in rows]), "position": position})


def _baskets(path: Path) -> pd.DataFrame:
    people: dict[str, list[list[int]]] = json.loads(path.read_text())
    # The first and the last basket hold -1 alone: marks of the file's format.
    baskets = [(int(user), number, basket) for user, row in people.items() for number, basket in enumerate(row[1:-1])]
    size = np.array([len(basket) for _, _, basket in baskets])
    return pd.DataFrame(
        {
            "user_id": np.repeat([user for user, _, _ in baskets], size),
            "item_id": np.fromiter(chain.from_iterable(basket for _, _, basket in baskets), np.int64),
            "order_id": np.repeat(np.arange(len(baskets)), size),
            "position": np.repeat([number for _, number, _ in baskets], size),
        }
    )


def _shuffled(*frames: pd.DataFrame) -> Iterable[pd.DataFrame]:
    known = np.unique(np.concatenate([frame["item_id"] for frame in frames]))
    names = np.random.default_rng(SHUFFLE).permutation(len(known))
    return tuple(frame.assign(item_id=names[np.searchsorted(known, frame["item_id"])]) for frame in frames)
