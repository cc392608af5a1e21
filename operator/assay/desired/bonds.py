"""Bonds between epochs, kept as immutable, content-addressed ConfigMaps.

A chunk's name is the digest of its content, so a chunk that was altered no longer answers to its name, and writing the
same bonds twice is writing them once. A bond belongs to the pair of holders it was made between: rows and columns carry
(UID, object UID, registered epoch), and whoever holds a UID later inherits nothing.

Rows are base64 of little-endian u16, one value a UID, zero where there is no bond; a bond of zero is never stored.
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from assay.api import Subnet
from assay.desired.names import LABEL_EPOCH, child_metadata

SCHEMA = "assay.dev/bonds/v1"
DATA_KEY = "bonds.json"
CHUNK_BYTES = 256 * 1024

Rows = Mapping[int, Mapping[int, int]]


class BondsCorrupt(ValueError):
    """A chunk is not what its name or its neighbours say."""


@dataclass(frozen=True)
class Holder:
    """Who held a UID when the bonds were made."""

    uid: int
    object_uid: str
    registered_epoch: int


@dataclass(frozen=True)
class Bonds:
    """The bonds that an epoch left: rows of validators' UIDs to miners' UIDs, u16 each."""

    epoch: int
    holders: tuple[Holder, ...]
    rows: Rows

    def between(self, holders: Iterable[Holder]) -> dict[int, dict[int, int]]:
        """The bonds of which both ends are still held by whom they were made with."""
        still = {holder.uid for holder in set(self.holders) & set(holders)}
        return {
            uid: {miner: value for miner, value in row.items() if miner in still}
            for uid, row in self.rows.items()
            if uid in still
        }


NO_BONDS = Bonds(epoch=0, holders=(), rows={})


@dataclass(frozen=True)
class Chunk:
    """One stored part: `name` of the ConfigMap, `sha256` in hexadecimal, `text` of its one key."""

    name: str
    sha256: str
    text: str


def split(bonds: Bonds, subnet: Subnet) -> tuple[Chunk, ...]:
    """The bonds in chunks of at most `CHUNK_BYTES`, at least one, in the order in which they are joined."""
    size = 1 + max((holder.uid for holder in bonds.holders), default=-1)
    parts: list[list[dict[str, Any]]] = [[]]
    room = CHUNK_BYTES
    for uid, row in sorted(bonds.rows.items()):
        text = _encode(row, size)
        cost = len(text) + 32
        if parts[-1] and cost > room:
            parts.append([])
            room = CHUNK_BYTES
        parts[-1].append({"uid": uid, "u16": text})
        room -= cost
    holders = [
        [holder.uid, holder.object_uid, holder.registered_epoch] for holder in sorted(bonds.holders, key=_by_uid)
    ]
    return tuple(_chunk(subnet, bonds.epoch, holders, rows, part, len(parts)) for part, rows in enumerate(parts))


def join(texts: Sequence[str]) -> Bonds:
    """The bonds from all their chunks, in order.

    Raises:
        BondsCorrupt: a part is missing, is of another epoch, or does not read.
    """
    try:
        parts = [json.loads(text) for text in texts]
        for index, part in enumerate(parts):
            if (part["schema"], part["part"], part["parts"], part["epoch"]) != (
                SCHEMA,
                index,
                len(parts),
                parts[0]["epoch"],
            ):
                raise BondsCorrupt(f"bonds: part {index} of {len(parts)} is out of place")
        return Bonds(
            epoch=parts[0]["epoch"],
            holders=tuple(Holder(*holder) for holder in parts[0]["holders"]),
            rows={row["uid"]: _decode(row["u16"]) for part in parts for row in part["rows"]},
        )
    except (KeyError, TypeError, IndexError, json.JSONDecodeError) as error:
        raise BondsCorrupt(f"bonds: a chunk does not read: {error!r}") from error


def config_map(subnet: Subnet, chunk: Chunk, epoch: int) -> dict[str, Any]:
    """The immutable ConfigMap that keeps a chunk."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": child_metadata(
            "Subnet", subnet.metadata, "bonds", chunk.name, extra_labels={LABEL_EPOCH: str(epoch)}
        ),
        "immutable": True,
        "data": {DATA_KEY: chunk.text},
    }


def sha256_hex(text: str) -> str:
    """SHA-256 of the UTF-8 bytes, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def _chunk(
    subnet: Subnet, epoch: int, holders: list[list[Any]], rows: list[dict[str, Any]], part: int, parts: int
) -> Chunk:
    content = {
        "schema": SCHEMA,
        "subnet": subnet.metadata.uid,
        "epoch": epoch,
        "part": part,
        "parts": parts,
        "holders": holders if part == 0 else [],
        "rows": rows,
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    digest = sha256_hex(text)
    return Chunk(name=f"{subnet.metadata.name}-bonds-{digest[:10]}", sha256=digest, text=text)


def _encode(row: Mapping[int, int], size: int) -> str:
    dense = np.zeros(size, dtype="<u2")
    for uid, value in row.items():
        dense[uid] = value
    return base64.b64encode(dense.tobytes()).decode()


def _decode(text: str) -> dict[int, int]:
    dense = np.frombuffer(base64.b64decode(text), dtype="<u2")
    return {int(uid): int(dense[uid]) for uid in np.flatnonzero(dense)}


def _by_uid(holder: Holder) -> int:
    return holder.uid
