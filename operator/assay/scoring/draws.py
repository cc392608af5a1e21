"""Randomness that is a function of its labels.

Owns the one generator of challenges: SHAKE-256 over the labels, so that any scorer in any language draws the same
numbers from the same assignment, and no draw depends on which came before it.
"""

import hashlib
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Draws: TypeAlias = npt.NDArray[np.uint32]
Label: TypeAlias = str | int

DOMAIN = b"assay.challenge/v1\0"


def draw(count: int, *labels: Label) -> Draws:
    """`count` independent numbers, uniform in 0..2^32-1, that depend on `labels` only."""
    encoded = [str(label).encode() for label in labels]
    material = DOMAIN + b"".join(len(label).to_bytes(4, "little") + label for label in encoded)
    return np.frombuffer(hashlib.shake_256(material).digest(4 * count), "<u4").astype(np.uint32)


def shuffled(count: int, *labels: Label) -> list[int]:
    """The numbers 0..count-1 in an order that depends on `labels` only."""
    return [int(index) for index in np.argsort(draw(count, *labels), kind="stable")]
