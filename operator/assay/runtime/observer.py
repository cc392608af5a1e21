"""What the control loop tells about itself.

Owns the interface through which queue and controllers report their work, so that this package needs no metrics library.
An observer must not raise and must not wait; it is called in the loop's own turn.
"""

from typing import Literal, Protocol

Outcome = Literal["success", "requeue_after", "error", "timeout"]


class QueueObserver(Protocol):
    """Sees one work queue."""

    def added(self, depth: int) -> None:
        """A key was queued; `depth` keys are ready now."""
        ...

    def handed_out(self, depth: int, waited_s: float) -> None:
        """A key went to a worker after waiting `waited_s` seconds; `depth` keys are still ready."""
        ...

    def finished(self, worked_s: float) -> None:
        """A worker gave a key back after `worked_s` seconds."""
        ...

    def retried(self) -> None:
        """A key was put back for a later time."""
        ...


class ControllerObserver(Protocol):
    """Sees one controller."""

    def active_workers(self, count: int) -> None:
        """`count` workers are reconciling now."""
        ...

    def reconciled(self, outcome: Outcome, took_s: float) -> None:
        """One reconcile ended after `took_s` seconds."""
        ...


class Unobserved:
    """Takes no notice: the observer of tests and of tools."""

    def added(self, depth: int) -> None:
        """Ignore."""

    def handed_out(self, depth: int, waited_s: float) -> None:
        """Ignore."""

    def finished(self, worked_s: float) -> None:
        """Ignore."""

    def retried(self) -> None:
        """Ignore."""

    def active_workers(self, count: int) -> None:
        """Ignore."""

    def reconciled(self, outcome: Outcome, took_s: float) -> None:
        """Ignore."""
