"""Scores of (row, item) pairs: sparse matrices, the best of each row, and look-ups, all without a loop over rows."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import sparse


def matrix(row: np.ndarray, column: np.ndarray, value: np.ndarray, shape: tuple[int, int]) -> sparse.csr_matrix:
    """A float32 matrix with sorted columns; values at the same place are summed."""
    made = sparse.csr_matrix((np.asarray(value, np.float32), (row, column)), shape=shape)
    made.sort_indices()
    return made


def scaled(
    scores: sparse.csr_matrix, left: np.ndarray | None = None, right: np.ndarray | None = None
) -> sparse.csr_matrix:
    """The matrix with row i times left[i] and column j times right[j]."""
    value = scores.data
    if left is not None:
        value = value * left[rows_of(scores)]
    if right is not None:
        value = value * right[scores.indices]
    return sparse.csr_matrix((np.asarray(value, np.float32), scores.indices, scores.indptr), shape=scores.shape)


def packed(state: Mapping[str, np.ndarray]) -> sparse.csr_matrix:
    """The matrix that `unpacked` took apart."""
    return sparse.csr_matrix((state["data"], state["indices"], state["indptr"]), shape=tuple(state["shape"]))


def unpacked(scores: sparse.csr_matrix) -> dict[str, np.ndarray]:
    """A matrix as plain arrays."""
    return {
        "data": scores.data,
        "indices": scores.indices,
        "indptr": scores.indptr,
        "shape": np.asarray(scores.shape, np.int64),
    }


def rows_of(scores: sparse.csr_matrix) -> np.ndarray:
    """The row of each stored entry."""
    return np.repeat(np.arange(scores.shape[0]), np.diff(scores.indptr))


def best(scores: sparse.csr_matrix, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row, column and value of the k greatest positive entries of each row, best first; ties to the lower column."""
    return best_of(rows_of(scores), scores.indices, scores.data, scores.shape, k)


def best_of(
    row: np.ndarray, column: np.ndarray, value: np.ndarray, shape: tuple[int, int], k: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same for entries given as three arrays, of float32 values, with distinct places.

    Row, value and column are packed into one 64-bit number each, so that one sort of plain numbers does it. The bits of
    a positive float rise with it; where rows and columns leave fewer than 31 bits its last ones are dropped.
    """
    positive = value > 0
    row, column, value = row[positive], column[positive], np.asarray(value[positive], np.float32)
    row_bits, column_bits = (max(int(n - 1).bit_length(), 1) for n in shape)
    room = 64 - row_bits - column_bits
    dropped = max(31 - room, 0)
    falling = np.uint64(0x7FFFFFFF) - value.view(np.uint32).astype(np.uint64)
    packed = row.astype(np.uint64) << np.uint64(64 - row_bits)
    packed |= falling >> np.uint64(dropped) << np.uint64(column_bits)
    packed |= column.astype(np.uint64)
    packed.sort()
    row = (packed >> np.uint64(64 - row_bits)).astype(np.int64)
    kept = place_in_row(row, shape[0]) < k
    row, packed = row[kept], packed[kept]
    column = (packed & np.uint64((1 << column_bits) - 1)).astype(np.int64)
    falling = packed >> np.uint64(column_bits) & np.uint64((1 << min(room, 31)) - 1)
    bits = np.uint64(0x7FFFFFFF) - (falling << np.uint64(dropped))
    return row, column, bits.astype(np.uint32).view(np.float32)


def place_in_row(row: np.ndarray, rows: int) -> np.ndarray:
    """How many entries of its row come before each entry; `row` must be rising."""
    count = np.bincount(row, minlength=rows)
    return np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)


@dataclass(frozen=True)
class Table:
    """Values at places of a matrix with `width` columns, for look-ups; keys, row · width + column, rise."""

    keys: np.ndarray
    values: np.ndarray
    width: int

    @classmethod
    def of(cls, scores: sparse.csr_matrix) -> "Table":
        """The entries of a matrix with sorted columns."""
        return cls(rows_of(scores) * scores.shape[1] + scores.indices, scores.data, scores.shape[1])

    @classmethod
    def of_rows(cls, scores: sparse.csr_matrix, chosen: np.ndarray) -> "Table":
        """The rows `chosen`, which are numbered anew from 0; the row -1 is empty."""
        start = scores.indptr[chosen]
        # Without a matrix in between: to make one takes longer than all the rest when one session waits for an answer.
        place, row = ragged(start, np.where(chosen >= 0, scores.indptr[chosen + 1] - start, 0))
        return cls(row * scores.shape[1] + scores.indices[place], scores.data[place], scores.shape[1])

    def __call__(self, row: np.ndarray, column: np.ndarray) -> np.ndarray:
        """Values at the places as float32; 0 where there is none, or where the row is -1."""
        if len(self.keys) == 0:
            return np.zeros(len(row), np.float32)
        wanted = np.asarray(row, np.int64) * self.width + column
        place = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        return np.where(self.keys[place] == wanted, self.values[place], 0).astype(np.float32)


def ragged(start: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All places start[i] … start[i] + count[i] - 1, one after the other, and the i of each."""
    owner = np.repeat(np.arange(len(start)), count)
    before = np.cumsum(count) - count
    return np.arange(len(owner)) + np.repeat(start - before, count), owner
