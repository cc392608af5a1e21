"""Checks of untrusted input, each naming the key and the index of what is wrong.

Owns: `InvalidState` and the readers of whole numbers, flags, vectors and sparse rows. Must never repair a value or
let one through that the epoch's int64 arithmetic could not carry. A list is checked with a few C-speed passes; only a
list that fails is walked entry by entry, to find the place.
"""

import json
from collections.abc import Sequence
from itertools import chain
from typing import Any, Final, NoReturn

import numpy as np
from numpy.typing import NDArray

from assay.consensus.numbers import U16_MAX
from assay.consensus.rows import SparseRows

BLOCK_MAX: Final = 2**64 - 1
"""Block numbers are u64 on the chain; an absent commit block is held as this value."""
STAKE_MAX: Final = 2**63 - 1
"""A stake has to fit the integer part of I64F64."""


class InvalidState(ValueError):
    """A state that no chain could hold. `key` and `index` say where, the message also what was expected.

    Attributes:
        key: the key of the state, `""` when the state as a whole is meant.
        index: positions inside the key's list, outermost first.
    """

    def __init__(self, key: str, problem: str, *index: int) -> None:
        self.key = key
        self.index = index
        place = key + "".join(f"[{position}]" for position in index)
        super().__init__(f"{place}: {problem}" if place else problem)


def whole_number(value: object, low: int, high: int, key: str, *index: int) -> int:
    """`value` if it is an int (a bool is none) within [low, high]; raises InvalidState."""
    if type(value) is not int:
        raise InvalidState(key, f"{_shown(value)} is not a whole number", *index)
    if value < low:
        raise InvalidState(key, f"{_shown(value)} < {low}", *index)
    if value > high:
        raise InvalidState(key, f"{_shown(value)} > {high}", *index)
    return value


def flag(value: object, key: str, *index: int) -> bool:
    """`value` if it is true or false; raises InvalidState."""
    if type(value) is not bool:
        raise InvalidState(key, f"{_shown(value)} is not true or false", *index)
    return value


def whole_numbers(value: object, length: int | None, high: int, key: str) -> list[int]:
    """A list of `length` ints (any length if None) within [0, high]; raises InvalidState."""
    entries = _list(value, length, key)
    if set(map(type, entries)) <= {int} and (not entries or (min(entries) >= 0 and max(entries) <= high)):
        return entries
    return [whole_number(entry, 0, high, key, index) for index, entry in enumerate(entries)]


def flags(value: object, length: int | None, key: str) -> NDArray[np.bool_]:
    """A list of `length` bools (any length if None); raises InvalidState."""
    return np.array([flag(entry, key, index) for index, entry in enumerate(_list(value, length, key))], np.bool_)


def u16_rows(value: object, n: int, key: str) -> SparseRows:
    """`n` sparse rows of [uid, u16], each uid below `n` and at most once a row; raises InvalidState."""
    rows = _list(value, n, key)
    for i, row in enumerate(rows):
        if not _is_sound_row(row, n):
            _point_at_fault(row, n, key, i)
    return SparseRows.from_rows(rows)


def _is_sound_row(row: object, n: int) -> bool:
    if not isinstance(row, list | tuple):
        return False
    if not row:
        return True
    if not set(map(type, row)) <= {list, tuple} or set(map(len, row)) != {2}:
        return False
    if set(map(type, chain.from_iterable(row))) != {int}:
        return False
    uids, values = zip(*row, strict=True)
    sound = min(uids) >= 0 and max(uids) < n and min(values) >= 0 and max(values) <= U16_MAX
    return sound and len(set(uids)) == len(uids)


def _point_at_fault(row: object, n: int, key: str, i: int) -> NoReturn:
    if not isinstance(row, list | tuple):
        raise InvalidState(key, f"{_shown(row)} is not a list of [uid, value]", i)
    seen: dict[int, int] = {}
    for k, pair in enumerate(row):
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise InvalidState(key, f"{_shown(pair)} is not a pair [uid, value]", i, k)
        uid = whole_number(pair[0], 0, n - 1, key, i, k, 0)
        whole_number(pair[1], 0, U16_MAX, key, i, k, 1)
        if uid in seen:
            raise InvalidState(
                key, f"uid {uid} is there twice, first at [{i}][{seen[uid]}]; a row names each uid once", i, k
            )
        seen[uid] = k
    raise AssertionError(f"{key}[{i}]: the row was refused, but no fault was found in it")


def _list(value: object, length: int | None, key: str) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise InvalidState(key, f"{_shown(value)} is not a list")
    if length is not None and len(value) != length:
        position = min(len(value), length)
        what = "is missing" if len(value) < length else "is one too many"
        raise InvalidState(key, f"has {len(value)} entries, n is {length}: entry {position} {what}")
    return list(value)


def missing_and_unknown(keys: Sequence[str], required: frozenset[str], known: frozenset[str]) -> None:
    """Raise InvalidState for the first unknown key (in the order given), else for the first missing one (sorted)."""
    for key in keys:
        if key not in known:
            raise InvalidState(str(key), "unknown key; known are " + ", ".join(sorted(known)))
    for key in sorted(required):
        if key not in keys:
            raise InvalidState(key, "missing; a state has every key of the format")


def _shown(value: object) -> str:
    if type(value) is int and value.bit_length() > 200:
        return f"a number of {value.bit_length()} bits"  # Python refuses to print one that is longer still
    text = json.dumps(value, default=repr)
    return text if len(text) <= 60 else text[:57] + "..."
