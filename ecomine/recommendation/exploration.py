"""A declared share of places goes to products that the model would not have shown, so that the next one can learn.

Each place of a list is, with the declared probability and independent of the others, given to a product drawn at random
from the next best ones. The draw is a hash of the customer, the moment and the seed: asked again, the same list comes
out. With probability `share` of exploration and a pool of m products, the propensity of what stands at a place is
1 − share for the model's own choice and share / m for a drawn one, so that the log of lists can judge other policies
(inverse propensity, Horvitz and Thompson 1952).
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from ecomine.recommendation.candidates import rank_within

_FEW = 200
"""Rows that are hashed one by one sooner than the different ones among them are found."""


def explore(lists: pd.DataFrame, length: int, share: float, seed: int) -> pd.DataFrame:
    """Lists of `length` from rows sorted by user_id and rank, of which those beyond `length` are the pool.

    Adds `propensity` and `explored`. Somebody whose pool is smaller than a list gets the model's choice everywhere.
    """
    columns = {name: lists[name].to_numpy() for name in KEYS}
    user, rank = pd.factorize(lists["user_id"])[0], lists["rank"].to_numpy()
    rows, propensity, explored = places(columns, user, rank, length, share, seed)
    mixed = lists.iloc[rows].reset_index(drop=True)
    return mixed.assign(rank=rank[rank <= length], propensity=propensity, explored=explored)


KEYS = ("user_id", "item_id", "event_timestamp")


def places(
    columns: Mapping[str, np.ndarray], user: np.ndarray, rank: np.ndarray, length: int, share: float, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As `explore`, on arrays: which row stands at each place of the lists, its propensity, and whether it was drawn.

    columns: `KEYS`; user: number of the list, in the order in which they come first.
    """
    shown, pool = np.flatnonzero(rank <= length), np.flatnonzero(rank > length)
    if share <= 0 or not len(pool):
        return shown, np.ones(len(shown)), np.zeros(len(shown), bool)
    size = np.bincount(user[pool], minlength=int(user.max(initial=-1)) + 1)
    ready = size >= length
    keys = {name: values[shown] for name, values in columns.items()}
    draw = _draw([keys["user_id"], rank[shown], keys["event_timestamp"]], seed, "place")
    chosen = ready[user[shown]] & (draw < share)
    order = rank_within(user[pool], _draw([columns[name][pool] for name in KEYS], seed, "product"))
    # The n-th place that explores, in each list, gets the product whose draw is the n-th greatest.
    nth = rank_within(user[shown][chosen], -rank[shown][chosen].astype(float))
    at = np.empty(len(pool), np.intp)
    begin = np.cumsum(size) - size
    at[(begin[user[pool]] + order - 1).astype(np.intp)] = pool
    rows = shown.copy()
    rows[chosen] = at[(begin[user[shown][chosen]] + nth - 1).astype(np.intp)]
    propensity = np.where(
        chosen, share / np.maximum(size[user[shown]], 1), np.where(ready[user[shown]], 1 - share, 1.0)
    )
    return rows, propensity, chosen


def _draw(keys: Sequence[np.ndarray], seed: int, what: str) -> np.ndarray:
    """A number in [0, 1) for each row, from nothing but its keys, the seed and what is drawn.

    The numbers are those of `pandas.util.hash_pandas_object` over a frame of the keys.
    """
    text = f"{seed % 10**10:010d}{what:>6.6}"
    mixed = np.full(len(keys[0]), 0x345678, np.uint64)
    factor = np.uint64(1000003)
    for number, values in enumerate(keys):
        mixed ^= pd.util.hash_array(values, hash_key=text, categorize=len(values) > _FEW)
        mixed *= factor
        factor += np.uint64(82520 + 2 * (len(keys) - number))
    return np.asarray((mixed + np.uint64(97531)) / 2.0**64)
