"""What a planner may ask for, as data.

A planner reads a snapshot and returns a `Plan`; it performs nothing. The executor runs the effects in order and then
writes the status, so a write that must come before another stands before it in the tuple, and whatever is derived
from a status commit belongs to the next pass.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Manifest = Mapping[str, Any]


@dataclass(frozen=True)
class Apply:
    """Server-side apply of a complete manifest: fields applied before and left out now are removed."""

    manifest: Manifest


@dataclass(frozen=True)
class Create:
    """Create once. That the object is there already is success: its content was decided by an earlier pass."""

    manifest: Manifest


@dataclass(frozen=True)
class Delete:
    """Delete the object of this name only if it still has this uid."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str


@dataclass(frozen=True)
class Emit:
    """An event on the object that is reconciled."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


Effect = Apply | Create | Delete | Emit


@dataclass(frozen=True)
class Plan:
    """Effects in order, then the status.

    Attributes:
        effects: what to do, in this order; each may be repeated without harm.
        status: the whole status wished, in wire form; written only if it differs from what was read. None: leave alone.
        requeue_after_s: seconds until the object wants to be looked at again although nothing changed; None for never.
    """

    effects: tuple[Effect, ...] = ()
    status: Manifest | None = None
    requeue_after_s: float | None = None
