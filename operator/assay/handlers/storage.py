"""Storages that store nothing.

Owns nothing, on purpose. By default kopf keeps what it last saw and how far its handlers got in annotations, which
whoever may edit the object may edit too: a forged one hides a change from the operator. We reconcile by level and need
neither. Invariant: kopf never finds a reason to write to an object.
"""

import kopf


class NullDiffBase(kopf.DiffBaseStorage):
    """Remembers no last state, so that kopf neither copies objects nor sees differences."""

    def build(self, **_: object) -> kopf.BodyEssence:
        """The essence of every object is empty."""
        return kopf.BodyEssence()

    def fetch(self, **_: object) -> kopf.BodyEssence | None:
        """There is no last state."""
        return None

    def store(self, **_: object) -> None:
        """Store nothing."""


class NullProgress(kopf.ProgressStorage):
    """Remembers no progress of handlers: event handlers have none."""

    def fetch(self, **_: object) -> kopf.ProgressRecord | None:
        """There is no record."""
        return None

    def store(self, **_: object) -> None:
        """Store nothing."""

    def purge(self, **_: object) -> None:
        """There is nothing to remove."""

    def touch(self, **_: object) -> None:
        """Leave the object alone."""

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        """There is nothing to clear from the essence."""
        return essence
