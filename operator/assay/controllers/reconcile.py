"""gather -> plan -> execute -> report, the same for every kind.

What a user did wrong becomes a condition and is not tried again until something changes; what the world did becomes an
error, and the work queue comes back to it. Invariant: a converged object is read, planned and left alone.
"""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol, TypeVar

from assay.api import Condition, InvalidObject, Resource, to_wire
from assay.controllers.execute import Executor
from assay.kube import errors
from assay.kube.resources import Key
from assay.kube.store import Store
from assay.planning.conditions import refused
from assay.planning.plan import Plan
from assay.runtime.clock import Clock
from assay.runtime.controller import Result

log = logging.getLogger(__name__)

Snapshot = TypeVar("Snapshot")


class KindController(Protocol[Snapshot]):
    """What a kind brings to the common loop."""

    model: type[Resource]

    async def gather(self, key: Key) -> Snapshot | None:
        """Everything the plan reads, once; None if the object is gone. Raises `InvalidObject`."""
        ...

    def plan(self, seen: Snapshot, now: datetime) -> Plan:
        """What to do about it. Pure."""
        ...


class Reconciler:
    """Keeps the objects of one kind equal to what their plans ask for."""

    def __init__(self, controller: KindController[Any], store: Store, executor: Executor, clock: Clock) -> None:
        self._controller = controller
        self._store = store
        self._executor = executor
        self._clock = clock

    async def reconcile(self, key: Key) -> Result:
        """One pass over one object."""
        obj = self._store.get(key)
        if obj is None or obj["metadata"].get("deletionTimestamp"):
            return Result()  # children go with their owner: the garbage collector follows their ownerReferences
        now = self._clock.now()
        try:
            seen = await self._controller.gather(key)
        except InvalidObject as invalid:
            await self._report(obj, _with_refusal(obj, "InvalidSpec", str(invalid), now))
            return Result()
        if seen is None:
            return Result()
        plan = self._controller.plan(seen, now)
        try:
            await self._executor.run(plan.effects)
        except (errors.Invalid, errors.Forbidden) as refusal:
            # The API server will not have it: a quota, a policy, a template that it finds wrong. Say so, and try again
            # later, because what forbids it may change without a word to us.
            status = _with_refusal({**obj, "status": plan.status or {}}, "Refused", str(refusal), now)
            await self._report(obj, status)
            raise
        if plan.status is not None:
            await self._report(obj, plan.status)
        self._executor.tell(obj, plan.effects)
        return Result(requeue_after_s=plan.requeue_after_s)

    async def _report(self, obj: Mapping[str, Any], status: Mapping[str, Any]) -> None:
        if self._normal(obj.get("status") or {}) != self._normal(status):
            try:
                answer = await self._executor.write_status(obj, status)
            except errors.NotFound:
                return  # deleted since it was read: there is nothing to report on
            # The next pass may begin before the watch has shown this write; it would plan on what is past.
            self._store.apply_event("MODIFIED", answer)

    def _normal(self, status: Mapping[str, Any]) -> Mapping[str, Any]:
        """A status as the model reads it, so that defaults and absent fields make no difference.

        One that the model cannot read is compared as it is.
        """
        model: Any = self._controller.model.model_fields["status"].annotation
        try:
            return to_wire(model.model_validate(status))
        except ValueError:
            return status


def _with_refusal(obj: Mapping[str, Any], reason: str, message: str, now: datetime) -> dict[str, Any]:
    """The status as it is, but for conditions that say that the object cannot be carried out."""
    status = dict(obj.get("status") or {})
    before = [Condition.model_validate(condition) for condition in status.get("conditions") or ()]
    generation = obj["metadata"].get("generation", 0)
    conditions = refused(before, reason, message, generation=generation, now=now)
    return {**status, "observedGeneration": generation, "conditions": [to_wire(condition) for condition in conditions]}
