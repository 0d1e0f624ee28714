"""How good predictions are: frames in, a number or a frame out, over all units at once.

Ranked lists are frames with a unit (`user_id`), an `item_id` and a `rank` from 1; the truth is a frame of the pairs of
unit and item that turned out to be relevant, with the `value` in money that each brought. Averages are over the units
of the truth: a unit without a list counts with 0.
"""

import numpy as np
import pandas as pd

from ecomine.errors import FeatureError

UNIT = "user_id"
ITEM = "item_id"
RANK = "rank"
VALUE = "value"


def ranking_by_unit(lists: pd.DataFrame, truth: pd.DataFrame, k: int) -> pd.DataFrame:
    """Measures of the first `k` of each list, one row a unit of `truth`, sorted by unit.

    Columns: recall (share of the relevant items listed), precision (share of `k` places that are relevant), ndcg
    (binary gains, discount log2(rank + 1), the ideal being min(k, relevant) hits on top; Järvelin and Kekäläinen 2002),
    mrr (1 / rank of the first hit), hit (1 when there is any) and value (money of the hits). Raises FeatureError where
    a column is missing.
    """
    _need(lists, "lists", UNIT, ITEM, RANK)
    _need(truth, "truth", UNIT, ITEM, VALUE)
    relevant = truth.groupby(UNIT, sort=True, observed=True).size()
    units = relevant.index
    hits = lists.loc[lists[RANK] <= k, [UNIT, ITEM, RANK]].merge(truth[[UNIT, ITEM, VALUE]], on=[UNIT, ITEM])
    row = units.get_indexer(hits[UNIT])
    rank = hits[RANK].to_numpy(float)
    count = np.bincount(row, minlength=len(units)).astype(float)
    gain = np.bincount(row, 1.0 / np.log2(rank + 1.0), minlength=len(units))
    ideal = np.concatenate([[0.0], np.cumsum(1.0 / np.log2(np.arange(1, k + 1) + 1.0))])
    first = np.full(len(units), np.inf)
    np.minimum.at(first, row, rank)
    return pd.DataFrame(
        {
            UNIT: units,
            "recall": count / relevant.to_numpy(),
            "precision": count / k,
            "ndcg": gain / ideal[np.minimum(k, relevant.to_numpy())],
            "mrr": 1.0 / first,
            "hit": (count > 0).astype(float),
            VALUE: np.bincount(row, hits[VALUE].to_numpy(float), minlength=len(units)),
        }
    )


def ranking(lists: pd.DataFrame, truth: pd.DataFrame, at: tuple[int, ...], catalogue: int) -> dict[str, float]:
    """Averages over the units at each list length in `at`, named like `recall@10`.

    `coverage@k` is the share of a `catalogue` of that many items which shows up in any list.
    """
    result: dict[str, float] = {}
    for k in at:
        averages = ranking_by_unit(lists, truth, k).drop(columns=[UNIT, VALUE]).mean()
        result |= {f"{name}@{k}": float(value) for name, value in averages.items()}
        result[f"coverage@{k}"] = float(lists.loc[lists[RANK] <= k, ITEM].nunique() / max(catalogue, 1))
    return result


def novelty(lists: pd.DataFrame, popularity: pd.Series, k: int) -> float:
    """Average surprise of the first `k` of each list: −log2 of the item's share of all sales (Zhou et al. 2010).

    `popularity` gives the share by item_id; an item that was never sold counts like half the rarest one.
    """
    _need(lists, "lists", UNIT, ITEM, RANK)
    sold = popularity[popularity > 0]
    share = lists.loc[lists[RANK] <= k, ITEM].map(sold).fillna(sold.min() / 2 if len(sold) else 1.0)
    return float(-np.log2(share.to_numpy(float)).mean()) if len(share) else 0.0


def diversity(lists: pd.DataFrame, category: pd.Series, k: int) -> float:
    """Average share of the pairs of items on a list that are of different categories, over lists of two or more.

    `category` gives the category by item_id (intra-list diversity, Ziegler et al. 2005, with equality of categories
    as the similarity).

    >>> shown = pd.DataFrame({"user_id": ["a"] * 3, "item_id": ["x", "y", "z"], "rank": [1, 2, 3]})
    >>> round(diversity(shown, pd.Series({"x": "tea", "y": "tea", "z": "milk"}), 3), 3)
    0.667
    """
    _need(lists, "lists", UNIT, ITEM, RANK)
    shown = lists.loc[lists[RANK] <= k, [UNIT, ITEM]]
    kind = shown[ITEM].map(category)
    same = shown.groupby([shown[UNIT], kind.fillna("")], observed=True).size()
    alike = (same * (same - 1)).groupby(level=0).sum()
    size = shown.groupby(UNIT, observed=True).size()
    pairs = size * (size - 1)
    several = pairs > 0
    return float((1.0 - alike[several] / pairs[several]).mean()) if several.any() else 0.0


def recall_curve(lists: pd.DataFrame, truth: pd.DataFrame, longest: int) -> np.ndarray:
    """Average recall at each list length 1 … `longest`."""
    relevant = truth.groupby(UNIT, observed=True).size()
    hits = lists.loc[lists[RANK] <= longest, [UNIT, ITEM, RANK]].merge(truth[[UNIT, ITEM]], on=[UNIT, ITEM])
    share = 1.0 / relevant.reindex(hits[UNIT]).to_numpy(float)
    by_rank = np.bincount(hits[RANK].to_numpy(int), share, minlength=longest + 1)[1 : longest + 1]
    return np.asarray(np.cumsum(by_rank) / max(len(relevant), 1))


def calibration(score: np.ndarray, label: np.ndarray, bins: int = 20) -> pd.DataFrame:
    """Average label by score, in `bins` groups of about equal size: columns score, label, rows.

    >>> calibration(np.array([0.1, 0.2, 0.8, 0.9]), np.array([0, 0, 1, 1]), bins=2)
       score  label  rows
    0   0.15    0.0     2
    1   0.85    1.0     2
    """
    order = np.argsort(score, kind="stable")
    group = np.arange(len(order)) * bins // max(len(order), 1)
    frame = pd.DataFrame({"score": np.asarray(score, float)[order], "label": np.asarray(label, float)[order]})
    grouped = frame.groupby(group)
    return grouped.mean().assign(rows=grouped.size()).reset_index(drop=True)


def mean_interval(values: np.ndarray, confidence: float, samples: int, seed: int) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of `values` (Efron 1979), resampled `samples` times.

    >>> low, high = mean_interval(np.array([1.0, 2.0, 3.0]), 0.95, 1000, seed=1)
    >>> 1.0 <= low < 2.0 < high <= 3.0
    True
    """
    values = np.asarray(values, float)
    random = np.random.default_rng(seed)
    # Blocks bound the memory whatever the number of units; the draws are the same for every block size.
    block = max(1, 4_000_000 // len(values))
    means = np.concatenate(
        [
            values[random.integers(0, len(values), (min(block, samples - start), len(values)))].mean(axis=1)
            for start in range(0, samples, block)
        ]
    )
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _need(frame: pd.DataFrame, what: str, *columns: str) -> None:
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise FeatureError(
            f"The frame of {what} lacks {', '.join(missing)}; "
            f"it has {', '.join(map(str, frame.columns)) or 'no columns'}."
        )
