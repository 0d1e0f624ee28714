"""Several places with a central warehouse: who gets what when it is short, and what is moved between places.

What is short is shared so that every place is equally sure to last: the same number of standard deviations beyond its
mean demand (equal fractile), so that places whose demand varies more get more. Source: Snyder and Shen (2019), 6.2;
Eppen and Schrage (1981).
"""

import numpy as np
import pandas as pd

from ecomine.columns import require
from ecomine.errors import FeatureError
from ecomine.inventory.law import DemandLaw

HALVINGS = 60
PLACE = ("item_id", "location_id", "position", "mean", "sd")


def allocate(wanted: pd.DataFrame, available: pd.Series) -> np.ndarray:
    """Whole units that the warehouse sends to each row: all that is `wanted`, or an equal fractile where it is short.

    `wanted` has a row an item and place: item_id, location_id, position (on hand and on its way), mean and sd of demand
    until the next delivery, wanted (units). `available` holds the warehouse's units by item_id; an item that is not in
    it has none. What nobody wants stays.
    """
    require(wanted.columns, (*PLACE, "wanted"), "places to allocate to")
    items, item = np.unique(wanted["item_id"].to_numpy(str), return_inverse=True)
    there = available.groupby(available.index.astype(str)).sum().reindex(items).fillna(0.0).to_numpy(float)
    asked = np.maximum(np.floor(wanted["wanted"].to_numpy(float) + 1e-9), 0.0)
    have, mean, sd = (wanted[name].to_numpy(float) for name in ("position", "mean", "sd"))
    limit = np.minimum(np.floor(there + 1e-9), np.bincount(item, asked, len(items)))
    share = equal_fractile(have, mean, sd, asked, item, limit)
    return whole(share, asked, item, limit, wanted["location_id"].to_numpy(str))


def equal_fractile(
    have: np.ndarray, mean: np.ndarray, sd: np.ndarray, most: np.ndarray, item: np.ndarray, total: np.ndarray
) -> np.ndarray:
    """Units for each row, from 0 to `most`, that bring the rows of an item to one z; they sum up to its `total`."""
    spread = np.maximum(sd, 1e-6)
    at = (have - mean) / spread
    low = np.full(len(total), np.inf)
    high = np.full(len(total), -np.inf)
    np.minimum.at(low, item, at)
    np.maximum.at(high, item, at + most / spread)
    low, high = np.where(np.isfinite(low), low, 0.0), np.where(np.isfinite(high), high, 0.0)
    for _ in range(HALVINGS):
        z = (low + high) / 2
        given = np.clip(mean + z[item] * spread - have, 0.0, most)
        enough = np.bincount(item, given, len(total)) >= total
        low, high = np.where(enough, low, z), np.where(enough, z, high)
    return np.clip(mean + high[item] * spread - have, 0.0, most)


def whole(share: np.ndarray, most: np.ndarray, item: np.ndarray, total: np.ndarray, name: np.ndarray) -> np.ndarray:
    """Shares as whole units of the same sum: rounded down, the rest to the greatest fractions, ties by name."""
    units = np.floor(share + 1e-6)
    for _ in range(2):
        left = np.round(total - np.bincount(item, units, len(total)))
        open_ = most - units >= 1
        order = np.lexsort((name, -np.round(share - units, 9), ~open_, item))
        begins = np.flatnonzero(np.diff(item[order], prepend=-1) != 0)
        rank = np.arange(len(order)) - np.repeat(begins, np.diff(np.append(begins, len(order))))
        more = np.zeros(len(units))
        more[order] = (rank < left[item[order]]) & open_[order]
        units = units + more
    return np.asarray(units)


def transfers(places: pd.DataFrame, cost: float = 0.0) -> pd.DataFrame:
    """Moves that are worth their `cost` (money a unit): item_id, from_location, to_location, units, gain (money).

    `places` has a row an item and place: item_id, location_id, position, on_hand, mean and sd of demand until the next
    delivery, lost (money a unit missed). Places of an item are brought towards one fractile, out of what they have on
    hand; a move is made where the sales it saves are worth more than those it risks and its cost.
    """
    require(places.columns, (*PLACE, "on_hand", "lost"), "places to move between")
    if places.duplicated(["item_id", "location_id"]).any():
        raise FeatureError("A place of an item is there twice; expected a row an item_id and location_id.")
    rows = places.assign(_item=places["item_id"].astype(str), _place=places["location_id"].astype(str))
    rows = rows.sort_values(["_item", "_place"], ignore_index=True)
    items, item = np.unique(rows["_item"].to_numpy(object), return_inverse=True)
    have, mean, sd = (rows[name].to_numpy(float) for name in ("position", "mean", "sd"))
    total = np.bincount(item, np.maximum(have, 0.0), len(items))
    aim = equal_fractile(np.zeros(len(have)), mean, sd, total[item], item, total)
    surplus = np.minimum(np.floor(np.maximum(have - aim, 0.0) + 1e-6), np.floor(rows["on_hand"].to_numpy(float)))
    lack = np.floor(np.maximum(aim - have, 0.0) + 1e-6)
    both = np.minimum(np.bincount(item, surplus, len(items)), np.bincount(item, lack, len(items)))
    given, taken = _first_units(surplus, item, both), _first_units(lack, item, both)
    ends = np.unique(np.concatenate([np.cumsum(given), np.cumsum(taken)]))
    ends = ends[ends > 0]
    units = np.diff(ends, prepend=0.0)
    middle = ends - units / 2
    source = np.searchsorted(np.cumsum(given), middle)
    target = np.searchsorted(np.cumsum(taken), middle)
    law, lost = DemandLaw.of(mean, sd), rows["lost"].to_numpy(float)
    # Moves of one place come after each other: each starts from the stock that those before it have left.
    out = _before(units, source, len(rows))
    into = _before(units, target, len(rows))
    here, there = np.maximum(have[source] - out, 0.0), have[target] + into
    give, take = law.take(source), law.take(target)
    gain = (
        lost[target] * (take.loss(there) - take.loss(there + units))
        - lost[source] * (give.loss(np.maximum(here - units, 0.0)) - give.loss(here))
        - cost * units
    )
    moves = pd.DataFrame(
        {
            "item_id": rows["item_id"].to_numpy()[source],
            "from_location": rows["location_id"].to_numpy()[source],
            "to_location": rows["location_id"].to_numpy()[target],
            "units": units,
            "gain": gain,
        }
    )
    return moves[gain > 0].reset_index(drop=True)


def _first_units(units: np.ndarray, item: np.ndarray, total: np.ndarray) -> np.ndarray:
    """`units` (rows of an item together) cut to the first `total` of each item."""
    running = np.cumsum(units)
    before = running - units
    begins = np.flatnonzero(np.diff(item, prepend=-1) != 0)
    start = np.repeat(before[begins], np.diff(np.append(begins, len(item))))
    return np.asarray(np.clip(total[item] - (before - start), 0.0, units))


def _before(units: np.ndarray, row: np.ndarray, count: int) -> np.ndarray:
    """Units of earlier moves with the same row."""
    order = np.argsort(row, kind="stable")
    running = np.cumsum(units[order])
    begins = np.flatnonzero(np.diff(row[order], prepend=-1) != 0)
    start = np.repeat((running - units[order])[begins], np.diff(np.append(begins, len(order))))
    earlier = np.empty(len(units))
    earlier[order] = running - units[order] - start
    return earlier
