"""Sparse matrix rows as the chain stores them: for each uid a list of (uid, value).

Owns: one immutable compressed form of `n` rows, and the way from and to dense matrices and lists. Must never drop an
explicit zero or change the order inside a row: under liquid alpha both decide which bonds live on.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np
from numpy.typing import NDArray

from assay.consensus.numbers import Raws


@dataclass(frozen=True, eq=False)
class SparseRows:
    """`n` sparse rows, compressed: row i holds `columns[offsets[i]:offsets[i+1]]` and the `values` beside them."""

    offsets: NDArray[np.int64]
    columns: NDArray[np.int64]
    values: Raws

    @classmethod
    def empty(cls, n: int) -> Self:
        """`n` rows without an entry."""
        return cls(np.zeros(n + 1, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64))

    @classmethod
    def from_rows(cls, rows: Sequence[Sequence[Sequence[int]]]) -> Self:
        """Rows as lists of (uid, value), already checked; the order inside each row is kept."""
        counts = np.fromiter((len(row) for row in rows), np.int64, len(rows))
        offsets = np.concatenate(([0], np.cumsum(counts)))
        pairs = np.fromiter((number for row in rows for pair in row for number in pair), np.int64, 2 * int(offsets[-1]))
        return cls(offsets, pairs[0::2].copy(), pairs[1::2].copy())

    @classmethod
    def from_dense(cls, dense: Raws, present: NDArray[np.bool_], uids: NDArray[np.int64], n: int) -> Self:
        """The entries of `dense` (len(uids) x n) where `present`, row k belonging to `uids[k]`; ascending by column."""
        counts = np.zeros(n, np.int64)
        counts[uids] = present.sum(axis=1)
        _, columns = np.nonzero(present)
        return cls(np.concatenate(([0], np.cumsum(counts))), columns.astype(np.int64), dense[present])

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.offsets) - 1

    @property
    def counts(self) -> NDArray[np.int64]:
        """Entries in each row."""
        return np.diff(self.offsets)

    def row(self, uid: int) -> dict[int, int]:
        """One row as uid -> value, in stored order."""
        part = slice(int(self.offsets[uid]), int(self.offsets[uid + 1]))
        return dict(zip(self.columns[part].tolist(), self.values[part].tolist(), strict=True))

    def row_ids(self) -> NDArray[np.int64]:
        """The row of each entry."""
        return np.repeat(np.arange(self.n), self.counts)

    def is_ascending(self) -> bool:
        """Whether every row is sorted by uid."""
        if len(self.columns) < 2:
            return True
        ascending = self.columns[1:] > self.columns[:-1]
        ascending[self.offsets[1:-1][(self.offsets[1:-1] > 0) & (self.offsets[1:-1] < len(self.columns))] - 1] = True
        return bool(ascending.all())

    def where(self, keep: NDArray[np.bool_]) -> "SparseRows":
        """The entries for which `keep` (one bool an entry) is true."""
        kept = np.concatenate(([0], np.cumsum(keep)))
        return SparseRows(kept[self.offsets], self.columns[keep], self.values[keep])

    def with_values(self, values: Raws) -> "SparseRows":
        """The same entries with other values."""
        return SparseRows(self.offsets, self.columns, values)

    def places(self, uids: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_] | None]:
        """Flat positions of the entries in a len(uids) x n matrix of the rows `uids`, and which entries are meant.

        The second is None when every entry belongs to one of the rows.
        """
        position = np.full(self.n, -1, np.int64)
        position[uids] = np.arange(len(uids))
        rows = np.repeat(position, self.counts)
        meant = rows >= 0
        if meant.all():
            return rows * self.n + self.columns, None
        return rows[meant] * self.n + self.columns[meant], meant

    def dense(self, uids: NDArray[np.int64]) -> Raws:
        """The rows `uids` as a len(uids) x n matrix, zero where there is no entry."""
        places, meant = self.places(uids)
        matrix = np.zeros((len(uids), self.n), np.int64)
        matrix.ravel()[places] = self.values if meant is None else self.values[meant]
        return matrix

    def present(self, uids: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Where the rows `uids` have an entry, be it zero: len(uids) x n."""
        places, _ = self.places(uids)
        matrix = np.zeros((len(uids), self.n), np.bool_)
        matrix.ravel()[places] = True
        return matrix

    def to_lists(self) -> list[list[list[int]]]:
        """Every row as a list of [uid, value], in stored order."""
        pairs = np.stack((self.columns, self.values), axis=1).tolist()
        bounds = self.offsets.tolist()
        return [pairs[low:high] for low, high in pairwise(bounds)]


def rows_of_mapping(mapping: Mapping[int, Mapping[int, int]], n: int) -> list[list[list[int]]]:
    """uid -> (uid -> value) as `n` lists of [uid, value]; uids outside 0..n-1 are left to the caller's check."""
    return [_pairs(mapping.get(uid, {}).items()) for uid in range(n)]


def _pairs(items: Iterable[tuple[int, int]]) -> list[list[int]]:
    return [list(item) for item in items]
