"""From levels to orders that can be placed: packs, minimum order, shelf life, storage of a place, budget of the day.

What must be cut is cut where it is missed least: units whose absence is expected to cost most, for each unit of room or
money they take, come first (the multi-product newsvendor with one constraint; Hadley and Whitin, 1963, 6-2).
"""

import numpy as np
import pandas as pd

from ecomine.errors import SettingsError
from ecomine.inventory.policies import Levels
from ecomine.inventory.situation import Situation

STEPS = 16
"""Parts into which an order may be cut; an order of no more packs is cut pack by pack."""

NOTHING, FILLED, SHELF, STORAGE, BUDGET = range(5)
WHY = (
    "enough until the next delivery",
    "would not last until the next delivery",
    "cut to what sells within the shelf life",
    "cut to the room of the place",
    "cut to the budget",
)


def order(situation: Situation, levels: Levels) -> tuple[np.ndarray, np.ndarray]:
    """Units to order now, and of each series the code of its reason in WHY.

    Raises SettingsError for a pack or a minimum that cannot be meant.
    """
    pack, least = packs(situation)
    asked = np.ceil(levels.short(situation.position) / pack - 1e-9) * pack
    units = np.where(asked > 0, np.maximum(asked, least), 0.0)
    why = np.where(units > 0, FILLED, NOTHING)
    units, why = _changed(units, _within_shelf_life(situation, units, pack, least), why, SHELF)
    params = situation.params
    if params.storage is not None:
        places, place = np.unique(situation.series["location_id"].to_numpy(str), return_inverse=True)
        used = np.bincount(place, np.maximum(situation.position, 0.0), len(places))
        room = np.maximum(params.storage - used, 0.0)
        kept = fit(situation, units, np.ones(len(units)), place, room)
        units, why = _changed(units, kept, why, STORAGE)
    if params.budget is not None:
        cost = np.maximum(np.nan_to_num(situation.unit_cost), 0.0)
        kept = fit(situation, units, cost, np.zeros(len(units), np.int64), np.array([params.budget]))
        units, why = _changed(units, kept, why, BUDGET)
    return units, why


def packs(situation: Situation) -> tuple[np.ndarray, np.ndarray]:
    """Units of a pack, and of the least order in whole packs."""
    pack = situation.column("pack_size")
    if not (pack > 0).all():
        raise SettingsError(f"A pack of {pack[~(pack > 0)][0]:g} units; expected more than none.")
    minimum = np.maximum(situation.column("minimum_order"), 0.0)
    return pack, np.maximum(np.ceil(minimum / pack - 1e-9), 1.0) * pack


def gain(situation: Situation, stock: np.ndarray, more: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Money that `more` units of series `rows` are expected to bring beside a stock: sales saved less their holding."""
    law, days = situation.until_delivery.take(rows), situation.days[rows]
    lost = np.nan_to_num(situation.lost[rows])
    lost = np.where(lost > 0, lost, 1.0)
    saved = law.loss(stock) - law.loss(stock + more)
    return np.asarray(lost * saved - np.nan_to_num(situation.holding[rows]) * days * (more - saved))


def fit(situation: Situation, units: np.ndarray, takes: np.ndarray, group: np.ndarray, limit: np.ndarray) -> np.ndarray:
    """`units` cut so that in each group the sum of units · `takes` is at most its `limit`; packs and minima hold."""
    over = np.bincount(group, units * takes, len(limit)) > limit + 1e-9
    touched = np.flatnonzero((units > 0) & over[group] & (takes > 0))
    if not len(touched):
        return units
    row, size, worth = _parts(situation, units, touched, takes)
    spare = limit - np.bincount(group, np.where(np.isin(np.arange(len(units)), touched), 0, units * takes), len(limit))
    order = np.lexsort((np.arange(len(row)), -worth, group[row]))
    row, size = row[order], size[order]
    need, place = size * takes[row], group[row]
    kept = np.ones(len(row), bool)
    barred = np.zeros(len(units), bool)
    while True:
        fits = _running(np.where(kept, need, 0.0), place) <= spare[place] + 1e-9
        broken = np.flatnonzero(kept & ~fits)
        if not len(broken):
            break
        # The first part of each group that does not fit bars what is left of its series; others may still fit.
        first = broken[np.unique(place[broken], return_index=True)[1]]
        after = np.isin(row, row[first]) & (np.arange(len(row)) >= _first_of(row, first, len(units))[row])
        kept &= ~after
        barred[row[first]] = True
    cut = units.copy()
    cut[touched] = 0.0
    return cut + np.bincount(row[kept], size[kept], len(units))


def _parts(
    situation: Situation, units: np.ndarray, touched: np.ndarray, takes: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each order as parts in their sequence: series, units, worth for each unit of what is short (never rising)."""
    pack, least = packs(situation)
    first = np.minimum(least[touched], units[touched])
    rest = np.round((units[touched] - first) / pack[touched]).astype(np.int64)
    step = np.maximum(np.ceil(rest / (STEPS - 1)).astype(np.int64), 1)
    number = np.arange(STEPS - 1)
    packed = np.clip(rest[:, None] - number * step[:, None], 0, step[:, None])
    size = np.concatenate([first[:, None], packed * pack[touched][:, None]], axis=1)
    before = np.cumsum(size, axis=1) - size
    rows = np.repeat(touched, STEPS)
    stock = np.maximum(situation.position[rows], 0.0) + before.ravel()
    worth = gain(situation, stock, size.ravel(), rows).reshape(size.shape)
    density = np.minimum.accumulate(worth / np.maximum(size * takes[touched][:, None], 1e-12), axis=1)
    there = size > 0
    return rows.reshape(size.shape)[there], size[there], density[there]


def _within_shelf_life(situation: Situation, units: np.ndarray, pack: np.ndarray, least: np.ndarray) -> np.ndarray:
    """No more in all than sells within the shelf life so surely that a unit is worth its cost."""
    life = situation.column("shelf_life_days")
    limited = np.flatnonzero(np.isfinite(life) & (units > 0))
    if not len(limited):
        return units
    law = situation.over(situation.rate * np.where(np.isfinite(life), life, 0.0)).take(limited)
    lost, cost = situation.lost[limited], situation.unit_cost[limited]
    most = law.quantile(np.nan_to_num(lost / np.maximum(lost + cost, 1e-12), nan=0.5))
    room = np.maximum(most - np.maximum(situation.position[limited], 0.0), 0.0)
    cut = np.minimum(units[limited], np.floor(room / pack[limited] + 1e-9) * pack[limited])
    kept = units.copy()
    kept[limited] = np.where(cut >= least[limited] - 1e-9, cut, 0.0)
    return kept


def _running(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Running sums within groups that lie together."""
    total = np.cumsum(values)
    begins = np.flatnonzero(np.diff(group, prepend=-1) != 0)
    before = np.repeat(total[begins] - values[begins], np.diff(np.append(begins, len(group))))
    return np.asarray(total - before)


def _first_of(row: np.ndarray, at: np.ndarray, count: int) -> np.ndarray:
    """Of every series the place of its part among `at`; beyond all where it has none."""
    place = np.full(count, len(row))
    place[row[at]] = at
    return place


def _changed(before: np.ndarray, after: np.ndarray, why: np.ndarray, code: int) -> tuple[np.ndarray, np.ndarray]:
    return after, np.where(after < before - 1e-9, code, why)


def reasons(why: np.ndarray, position: np.ndarray, levels: Levels) -> np.ndarray:
    """Words for each series: what there is, where the reorder point lies, and what was done."""
    there = pd.Series(np.round(position)).astype(np.int64).astype(str)
    point = pd.Series(np.maximum(levels.reorder_point, 0)).astype(np.int64).astype(str)
    text = there + " in stock and on order, reorder point " + point + ": " + pd.Series(np.array(WHY, object)[why])
    return np.where(levels.reorder_point < 0, "no demand expected: nothing is kept", text).astype(object)
