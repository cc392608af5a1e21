"""Bonds: split, named by content, joined, and theirs alone between whom they were made."""

import json
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.desired.bonds import CHUNK_BYTES, Bonds, BondsCorrupt, Holder, join, sha256_hex, split
from market import subnet

ROWS = st.dictionaries(
    st.integers(0, 40), st.dictionaries(st.integers(0, 40), st.integers(1, 65535), min_size=1), max_size=12
)


def bonds(rows: dict[int, dict[int, int]], size: int = 41) -> Bonds:
    return Bonds(7, tuple(Holder(uid, f"object-{uid}", 1) for uid in range(size)), rows)


@settings(max_examples=200, deadline=None)
@given(ROWS)
def test_what_was_split_joins_to_the_same(rows: dict[int, dict[int, int]]) -> None:
    chunks = split(bonds(rows), subnet())
    assert join([chunk.text for chunk in chunks]) == bonds(rows)
    assert all(chunk.sha256 == sha256_hex(chunk.text) for chunk in chunks)


def test_the_largest_subnet_fits_into_chunks_of_bounded_size() -> None:
    rows = {uid: dict.fromkeys(range(4096), 65535) for uid in range(4096, 4096 + 64)}
    chunks = split(bonds(rows, 4096 + 64), subnet())
    assert len(chunks) > 1
    # The first also names the holders; a ConfigMap takes 1 MiB.
    assert all(len(chunk.text) <= CHUNK_BYTES + 4096 for chunk in chunks[1:])
    assert len(chunks[0].text) < 1024 * 1024
    assert join([chunk.text for chunk in chunks]).rows == rows


def test_the_name_of_a_chunk_changes_with_its_content() -> None:
    names = [split(bonds({1: {2: value}}), subnet())[0].name for value in (10, 11, 12)]
    assert all(one != other for one, other in pairwise(names))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda texts: texts[:-1],
        lambda texts: list(reversed(texts)),
        lambda texts: ["not json", *texts[1:]],
        lambda texts: [json.dumps({**json.loads(texts[0]), "epoch": 8}), *texts[1:]],
        lambda _: [],
    ],
    ids=["a chunk is missing", "out of order", "not JSON", "chunks of two epochs", "no chunk at all"],
)
def test_bonds_that_are_not_whole_are_refused(spoil: Callable[[list[str]], list[str]]) -> None:
    rows = {uid: dict.fromkeys(range(4096), 1) for uid in range(64)}
    texts = [chunk.text for chunk in split(bonds(rows, 4096), subnet())]
    with pytest.raises(BondsCorrupt):
        join(spoil(texts))


def test_who_holds_a_uid_later_inherits_no_bonds() -> None:
    kept = bonds({0: {5: 100, 6: 200}, 1: {5: 300}}, 8)
    now = [holder for holder in kept.holders if holder.uid not in {1, 6}] + [
        Holder(1, "object-1", 9),
        Holder(6, "another", 1),
    ]
    assert kept.between(now) == {0: {5: 100}}
