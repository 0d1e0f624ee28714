"""Families of packs: a larger pack is not dearer per unit than the next smaller one. Solved exactly by HiGHS.

With y[i, j] = "the price of i is at least the j-th of its grid", every constraint has two variables, 1 and -1: the
matrix is a network's, the relaxation is integral, and the solver is done at the root. Source of the encoding: Picard
(1976), maximal closure of a graph.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ecomine.columns import require
from ecomine.errors import SettingsError

Solver = Callable[["Chains", np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]

VARIABLES = 6_000
"""About so many variables go to the solver at once."""


@dataclass(frozen=True)
class Chains:
    """`family` is a code an item, -1 for none; `small` and `large` are neighbours in size, `size` the packs' sizes."""

    family: np.ndarray
    small: np.ndarray
    large: np.ndarray
    size: np.ndarray

    @classmethod
    def none(cls, items: int) -> "Chains":
        nobody = np.zeros(0, np.int64)
        return cls(np.full(items, -1), nobody, nobody, np.ones(items))


def chains(items: pd.DataFrame) -> Chains:
    """The families of a frame with family_id and pack_size; packs of one size may stand in any order of row."""
    if "family_id" not in items.columns:
        return Chains.none(len(items))
    require(items.columns, ("pack_size",), "items with families")
    family = pd.factorize(items["family_id"], sort=True)[0]
    size = items["pack_size"].to_numpy(float)
    if not (size[family >= 0] > 0).all():
        raise SettingsError("Some packs of a family have no size above 0 in pack_size; give each its number of units.")
    count = np.bincount(family[family >= 0], minlength=family.max(initial=-1) + 1)
    family = np.where((family >= 0) & (count[family] > 1), family, -1)
    order = np.lexsort((np.arange(len(items)), size, family))
    order = order[family[order] >= 0]
    same = family[order[1:]] == family[order[:-1]]
    return Chains(family, order[:-1][same], order[1:][same], np.where(family >= 0, size, 1.0))


def in_order(chain: Chains, grid: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Whether each pair of neighbours stands in order at the chosen columns."""
    price = grid[np.arange(len(column)), column]
    return price[chain.large] * chain.size[chain.small] <= price[chain.small] * chain.size[chain.large] * (1 + 1e-12)


def stuck(chain: Chains, grid: np.ndarray, value: np.ndarray, fixed: np.ndarray) -> list[np.ndarray]:
    """Pairs (small, large) that no allowed prices can bring in order.

    The dearest allowed price of each pack, smallest first, below the pack before: where none is left, there is none.
    """
    allowed = np.isfinite(value)
    rank = _rank(chain)
    per_unit = grid / chain.size[:, None]
    most = np.full(len(grid), np.inf)
    own = np.where(allowed, per_unit, -np.inf)
    most = own.max(axis=1)
    failed = []
    for step in range(1, int(rank.max(initial=0)) + 1):
        pairs = np.flatnonzero((rank[chain.large] == step) & ~fixed[chain.large] & ~fixed[chain.small])
        small, large = chain.small[pairs], chain.large[pairs]
        below = np.where(own[large] <= most[small, None] * (1 + 1e-12), own[large], -np.inf).max(axis=1)
        bad = np.isneginf(below)
        failed += [np.array(pair) for pair in zip(small[bad], large[bad], strict=True)]
        most[large] = np.where(bad, own[large].max(axis=1), below)
    return failed


def ordered(chain: Chains, grid: np.ndarray, value: np.ndarray, free: np.ndarray, fixed: np.ndarray) -> np.ndarray:
    """The best columns with every family in order; `free` are the best columns without. `fixed` ones are left alone."""
    column = free.copy()
    if not len(chain.small):
        return column
    wrong = ~in_order(chain, grid, free) & ~fixed[chain.small] & ~fixed[chain.large]
    bad = np.unique(chain.family[chain.small[wrong]])
    if not len(bad):
        return column
    member = np.flatnonzero(np.isin(chain.family, bad))
    member = member[np.argsort(chain.family[member], kind="stable")]
    per = max(1, VARIABLES // grid.shape[1])
    family = chain.family[member]
    # A block ends with a family.
    block = np.zeros(len(member), np.int64)
    starts = np.flatnonzero(np.diff(family, prepend=-1))
    block = np.repeat(starts // per, np.diff(np.append(starts, len(member))))
    for one in np.unique(block):
        packs = member[block == one]
        column[packs] = _solve(chain, grid, value, packs)
    # The solver's tolerances are shares of the greatest loss on the grid, which may dwarf what a family earns; so where
    # the recursion finds better prices for a family, these are taken.
    exact, row = by_recursion(chain, grid, value, free, fixed), np.arange(len(grid))
    gain = np.bincount(chain.family[member], (value[row, exact] - value[row, column])[member])
    better = np.isin(chain.family, np.flatnonzero(gain > 0))
    return np.where(better, exact, column)


def by_recursion(chain: Chains, grid: np.ndarray, value: np.ndarray, free: np.ndarray, fixed: np.ndarray) -> np.ndarray:
    """The same by Bellman's recursion along each chain, all families at once: for the search of a price on change.

    What the packs from one on are worth at each of its prices: its own worth and the best of the next larger pack at
    any price that is not dearer per unit.
    """
    column = free.copy()
    if not len(chain.small):
        return column
    wrong = ~in_order(chain, grid, free) & ~fixed[chain.small] & ~fixed[chain.large]
    bad = np.isin(chain.family[chain.small], np.unique(chain.family[chain.small[wrong]]))
    small, large = chain.small[bad], chain.large[bad]
    if not len(small):
        return column
    rank, per_unit = _rank(chain), grid / chain.size[:, None]
    worth, choice = value.copy(), np.zeros((len(grid), grid.shape[1]), np.int64)
    top = int(rank[large].max())
    for step in range(top, 0, -1):
        pair = rank[large] == step
        one, next_ = small[pair], large[pair]
        best = np.maximum.accumulate(worth[next_], axis=1)
        new = np.concatenate([np.ones((len(next_), 1), bool), worth[next_][:, 1:] > best[:, :-1]], axis=1)
        where = np.maximum.accumulate(np.where(new, np.arange(grid.shape[1]), 0), axis=1)
        reach = _reach(per_unit[one], per_unit[next_])
        row = np.arange(len(one))[:, None]
        at = np.maximum(reach - 1, 0)
        worth[one] = np.where(reach > 0, value[one] + best[row, at], -np.inf)
        choice[one] = where[row, at]
    first = small[rank[small] == 0]
    column[first] = worth[first].argmax(axis=1)
    for step in range(1, top + 1):
        pair = rank[large] == step
        column[large[pair]] = choice[small[pair], column[small[pair]]]
    return column


def _reach(bounds: np.ndarray, sorted_: np.ndarray) -> np.ndarray:
    """How many entries of each row of `sorted_` are at most each bound of the same row of `bounds` (both rising)."""
    width = bounds.shape[1]
    both = np.concatenate([sorted_, bounds * (1 + 1e-12)], axis=1)
    order = np.argsort(both, axis=1, kind="stable")
    ours = np.cumsum(order < width, axis=1)
    result = np.empty_like(order)
    np.put_along_axis(result, order, ours, axis=1)
    return result[:, width:]


def _rank(chain: Chains) -> np.ndarray:
    """The place of each pack in its family by size, from 0."""
    rank = np.zeros(len(chain.family), np.int64)
    # Pairs are listed family by family, smallest first, so that a running count within a family is the place.
    begins = np.diff(chain.family[chain.small], prepend=-1) != 0
    index = np.arange(len(begins))
    since = index - np.maximum.accumulate(np.where(begins, index, 0))
    rank[chain.large] = since + 1
    return rank


def _solve(chain: Chains, grid: np.ndarray, value: np.ndarray, packs: np.ndarray) -> np.ndarray:
    """Columns of the packs of whole families, by scipy.optimize.milp."""
    from scipy import optimize, sparse

    prices, width = grid[packs].astype(float), grid.shape[1]
    worth = value[packs]
    finite = np.isfinite(worth)
    # A forbidden price is never chosen: it costs more than all else together can gain.
    scale = max(float(np.abs(worth[finite]).max(initial=1.0)), 1e-9)
    gain = np.where(finite, worth / scale, -4.0 * len(packs))
    weight = np.diff(gain, axis=1)
    step = width - 1
    index = np.arange(len(packs) * step).reshape(len(packs), step)
    at = np.full(len(chain.family), -1)
    at[packs] = np.arange(len(packs))
    pairs = np.isin(chain.small, packs)
    small, large = at[chain.small[pairs]], at[chain.large[pairs]]
    per_unit = prices / chain.size[packs, None]
    # If the large pack asks at least its j-th price, the small one asks at least the k-th, the first that is as dear.
    k = (per_unit[small][:, None, :] < per_unit[large][:, 1:, None] * (1 - 1e-12)).sum(axis=2)
    lower, upper = np.zeros(index.size), np.ones(index.size)
    # The large pack asks its least price whatever happens, so that the small one must be as dear.
    least = (per_unit[small] < per_unit[large][:, :1] * (1 - 1e-12)).sum(axis=1)
    lower[index[small][np.arange(step) < np.minimum(least, step)[:, None]]] = 1.0
    too_dear = k >= width
    upper[index[large][too_dear]] = 0.0
    tied = (k > 0) & ~too_dear
    head = index[large][tied]
    tail = index[small][np.nonzero(tied)[0], k[tied] - 1]
    first = np.concatenate([index[:, 1:].ravel(), head])
    second = np.concatenate([index[:, :-1].ravel(), tail])
    rows = np.arange(len(first))
    matrix = sparse.csr_array(
        (np.repeat([1.0, -1.0], len(first)), (np.tile(rows, 2), np.concatenate([first, second]))),
        shape=(len(first), index.size),
    )
    # A vertex of the relaxation is whole, as the matrix is totally unimodular; if it is not, whole ones are asked for.
    for whole in (0.0, 1.0):
        found = optimize.milp(
            -weight.ravel(),
            constraints=optimize.LinearConstraint(matrix, -np.inf, 0.0),
            bounds=optimize.Bounds(lower, upper),
            integrality=np.full(index.size, whole),
        )
        if found.x is not None and np.abs(found.x - np.round(found.x)).max() < 1e-6:
            break
    if found.x is None:
        raise SettingsError(f"The solver found no prices for {len(packs):,} packs: {found.message}")
    chosen = np.round(found.x).reshape(len(packs), step).sum(axis=1)
    return np.asarray(chosen, np.int64)
