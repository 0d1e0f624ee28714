"""Scores of a block of users for all items, as a sparse matrix or a full one, and what is picked from them."""

from typing import TypeAlias

import numpy as np
from scipy import sparse

Pairs = tuple[np.ndarray, np.ndarray]
"""Two arrays of the same length: positions in the array of users asked for, and item codes."""

Block: TypeAlias = np.ndarray | sparse.csr_matrix
"""Users × items; what is 0 in a sparse block, or not above 0 in a full one, is not known to the retriever."""

_CELLS = 500_000
"""Places searched at a time: as many as stay in the processor's cache."""


def matrix(row: np.ndarray, column: np.ndarray, value: np.ndarray, shape: tuple[int, int]) -> sparse.csr_matrix:
    """A sparse matrix with sorted columns; values of the same place are added up."""
    built = sparse.csr_matrix((np.asarray(value, float), (np.asarray(row), np.asarray(column))), shape=shape)
    built.sort_indices()
    return built


def rows(values: sparse.csr_matrix, users: np.ndarray) -> sparse.csr_matrix:
    """Rows of the users; an unknown user's row is empty."""
    known = users >= 0
    if not values.shape[0]:
        return sparse.csr_matrix((len(users), values.shape[1]))
    if len(users) == 1:  # to cut it out takes a third of the time of choosing
        begin, end = values.indptr[users[0] : users[0] + 2] if known[0] else (0, 0)
        parts = values.data[begin:end], values.indices[begin:end], np.array([0, end - begin], values.indptr.dtype)
        return sparse.csr_matrix(parts, shape=(1, values.shape[1]))
    chosen = values[np.where(known, users, 0)]
    return chosen if known.all() else sparse.diags_array(known.astype(float)).tocsr() @ chosen


def best(block: Block, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row, column and value of the k greatest positive entries of each row, best first; ties to the lower column.

    A sparse block must have sorted columns.
    """
    width = block.shape[1] if isinstance(block, np.ndarray) else int(np.diff(block.indptr).max(initial=0))
    step = max(1, _CELLS // max(width, 1))
    parts = []
    for start in range(0, max(block.shape[0], 1), step):
        if isinstance(block, np.ndarray):
            row, column, value = _best_of_part(block[start : start + step], k)
        else:
            begins = np.asarray(block.indptr[start : start + step + 1])
            row, place, value = _best_of_part(_pushed_left(begins, block.data, width), k)
            column = block.indices[begins[row] + place]
        parts.append((row + start, column, value))
    row, column, value = (np.concatenate(part) for part in zip(*parts, strict=True))
    return row, column, value


def _pushed_left(indptr: np.ndarray, data: np.ndarray, width: int) -> np.ndarray:
    """The numbers held in each row of a sparse matrix, in their order and without the gaps between them."""
    size = np.diff(indptr)
    row = np.repeat(np.arange(len(size)), size)
    full = np.zeros((len(size), width), data.dtype)
    full[row, np.arange(len(row)) + indptr[0] - indptr[row]] = data[indptr[0] : indptr[-1]]
    return full


def _best_of_part(block: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    width = block.shape[1]
    if k < 1 or not block.size:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    limit = np.zeros((len(block), 1), block.dtype)
    if k < width:
        # To select among many equal numbers is slow, so those that do not count are made different from one another.
        apart = np.where(block > 0, block, -np.arange(1, width + 1, dtype=block.dtype))
        apart.partition(width - k, axis=1)
        limit = np.maximum(apart[:, width - k, None], 0)
    row, column = np.nonzero((block >= limit) & (block > 0))
    value = block[row, column]
    order = np.lexsort((-value, row))
    row = row[order]
    kept = np.arange(len(row)) - np.searchsorted(row, row) < k
    return row[kept], column[order[kept]], value[order[kept]]


def pick(block: Block, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Values of the given places, 0 where a sparse block holds none; it must have sorted columns."""
    if isinstance(block, np.ndarray):
        return block[row, column]
    keys = key(np.repeat(np.arange(block.shape[0]), np.diff(block.indptr)), block.indices, block.shape[1])
    return look_up(keys, block.data, key(row, column, block.shape[1]), 0.0)


def without(block: Block, seen: sparse.csr_matrix) -> Block:
    """The block with the places of `seen` taken out."""
    row = np.repeat(np.arange(seen.shape[0]), np.diff(seen.indptr))
    if isinstance(block, np.ndarray):
        block = block.copy()
        block[row, seen.indices] = 0.0
        return block
    width = block.shape[1]
    own = np.repeat(np.arange(block.shape[0]), np.diff(block.indptr))
    gone = look_up(key(row, seen.indices, width), np.ones(len(row)), key(own, block.indices, width), 0.0)
    return sparse.csr_matrix((np.where(gone > 0, 0.0, block.data), block.indices, block.indptr), shape=block.shape)


def key(row: np.ndarray, column: np.ndarray, width: int) -> np.ndarray:
    """One number for a place of a matrix; numbers rise by row and column."""
    return np.asarray(row, np.int64) * width + np.asarray(column, np.int64)


def look_up(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray, absent: float) -> np.ndarray:
    """Values at the `wanted` places of sorted `keys`, `absent` where there is none."""
    if len(keys) == 0:
        return np.full(len(wanted), absent)
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, values[place], absent)
