"""A declared share of places goes to products that the model would not have shown, so that the next one can learn.

Each place of a list is, with the declared probability and independent of the others, given to a product drawn at random
from the next best ones. The draw is a hash of the customer, the moment and the seed: asked again, the same list comes
out. With probability `share` of exploration and a pool of m products, the propensity of what stands at a place is
1 − share for the model's own choice and share / m for a drawn one, so that the log of lists can judge other policies
(inverse propensity, Horvitz and Thompson 1952).
"""

import numpy as np
import pandas as pd

from ecomine.recommendation.candidates import rank_within


def explore(lists: pd.DataFrame, length: int, share: float, seed: int) -> pd.DataFrame:
    """Lists of `length` from rows sorted by user_id and rank, of which those beyond `length` are the pool.

    Adds `propensity` and `explored`. Somebody whose pool is smaller than a list gets the model's choice everywhere.
    """
    rank = lists["rank"].to_numpy()
    shown, pool = lists[rank <= length], lists[rank > length]
    result = shown.assign(propensity=1.0, explored=False)
    if share <= 0 or pool.empty:
        return result
    user, names = pd.factorize(lists["user_id"])
    user_shown, user_pool = user[rank <= length], user[rank > length]
    size = np.bincount(user_pool, minlength=len(names))
    ready = size >= length
    chosen = ready[user_shown] & (_draw(shown, seed, "place") < share)
    order = rank_within(user_pool, _draw(pool, seed, "product"))
    # The n-th place that explores, in each list, gets the product whose draw is the n-th greatest.
    nth = rank_within(user_shown[chosen], -shown["rank"].to_numpy(float)[chosen])
    place = pd.Series(np.arange(len(pool)), index=pd.MultiIndex.from_arrays([user_pool, order]))
    drawn = place.reindex(pd.MultiIndex.from_arrays([user_shown[chosen], nth])).to_numpy()
    rows = np.arange(len(shown))
    rows[chosen] = len(shown) + drawn
    mixed = pd.concat([shown, pool]).iloc[rows].reset_index(drop=True)
    propensity = np.where(chosen, share / np.maximum(size[user_shown], 1), np.where(ready[user_shown], 1 - share, 1.0))
    return mixed.assign(rank=shown["rank"].to_numpy(), propensity=propensity, explored=chosen)


def _draw(rows: pd.DataFrame, seed: int, what: str) -> np.ndarray:
    """A number in [0, 1) for each row, from nothing but its keys, the seed and what is drawn."""
    key = "rank" if what == "place" else "item_id"
    text = f"{seed % 10**10:010d}{what:>6.6}"
    keys = rows[["user_id", key, "event_timestamp"]]
    return np.asarray(pd.util.hash_pandas_object(keys, index=False, hash_key=text).to_numpy() / 2.0**64)
