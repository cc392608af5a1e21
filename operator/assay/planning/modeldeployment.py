"""What to do about a ModelDeployment, and what to say about it: Snapshot -> Plan. Pure.

Phases in reading order: judge how it serves (and build the children that takes), mirror its place in the subnet, write
the status, tell what changed. Invariant: the same snapshot gives the same plan, and a snapshot in which everything is
as wished gives the status that is there already.
"""

import zlib
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from assay.api import (
    Condition,
    LastFailure,
    ModelDeploymentStatus,
    ModelStatus,
    to_wire,
)
from assay.desired.triton import selector_text
from assay.planning.conditions import MESSAGE_LIMIT, conjunction, dated, timestamp
from assay.planning.minership import Minership, minership
from assay.planning.plan import Effect, Emit, Plan
from assay.planning.reasons import DeploymentReason as Reason
from assay.planning.serving import Children, Probe, Serving, Snapshot, serving
from assay.planning.workload import TRANSIENT

__all__ = ["Children", "Probe", "Snapshot", "plan"]

PROBE_PERIOD_S: Final = 10.0
PROBE_POLL_S: Final = 0.5

WISHED: Final = frozenset({Reason.SUSPENDED, Reason.SCALED_TO_ZERO})
"""Reasons not to be ready that the owner chose: no news."""


def plan(seen: Snapshot, now: datetime) -> Plan:
    """Decide one pass.

    Args:
        seen: everything that was read, once.
        now: time zone aware; only dates conditions and failures.
    """
    if seen.deployment.metadata.is_deleting:
        return Plan()
    served = serving(seen)
    status = _status(seen, served, minership(seen), now)
    effects: tuple[Effect, ...] = (*served.effects, *_news(seen.deployment.status.conditions, status.conditions))
    if served.accepted.holds or seen.deployment.spec.triton is None:
        return Plan(effects, to_wire(status), _requeue_after_s(seen, served))
    # What runs keeps running: a mistake in the spec must not take down what an earlier spec brought up.
    return Plan(tuple(it for it in effects if isinstance(it, Emit)), to_wire(status), served.requeue_after_s)


def _status(seen: Snapshot, served: Serving, place: Minership, now: datetime) -> ModelDeploymentStatus:
    metadata, before = seen.deployment.metadata, seen.deployment.status
    parts = (served.accepted, served.workload, served.model, served.servable)
    has_pods = seen.deployment.spec.triton is not None
    ready = conjunction("Ready", parts, Reason.ALL_REPLICAS_READY if has_pods else Reason.SERVING)
    verdicts = (ready, *parts, served.progressing, *place.verdicts)
    conditions = dated(verdicts, before.conditions, generation=metadata.generation, now=now)
    return ModelDeploymentStatus(
        observed_generation=metadata.generation,
        replicas=served.replicas,
        ready_replicas=served.ready,
        updated_replicas=served.updated,
        selector=selector_text(metadata.name) if has_pods else None,
        addresses=served.addresses,
        model_status=ModelStatus(state=served.state, last_failure=_last_failure(before.model_status, served, now)),
        membership=place.membership,
        consensus=place.consensus,
        conditions=tuple(conditions),
    )


def _last_failure(before: ModelStatus | None, served: Serving, now: datetime) -> LastFailure | None:
    """The trouble of now if it is a failure, else the one remembered. Its time moves only with the failure."""
    remembered = before.last_failure if before is not None else None
    trouble = served.trouble
    if trouble is None or trouble.reason in TRANSIENT:
        return remembered
    message = trouble.message[:MESSAGE_LIMIT]
    is_same = remembered is not None and (remembered.reason, remembered.message) == (trouble.reason.value, message)
    time = trouble.time or (remembered.time if is_same and remembered is not None else timestamp(now))
    return LastFailure(reason=trouble.reason.value, message=message, exit_code=trouble.exit_code, time=time)


def _news(before: Sequence[Condition], after: Sequence[Condition]) -> tuple[Emit, ...]:
    """An event whenever Ready turns, or fails for another reason."""
    old, new = _ready(before), _ready(after)
    if new is None or (old is not None and (old.status, old.reason) == (new.status, new.reason)):
        return ()
    if new.status == "True":
        return (Emit("Normal", new.reason, "the model is served"),)
    if new.status == "Unknown" or Reason(new.reason) in TRANSIENT | WISHED:
        return ()
    return (Emit("Warning", new.reason, new.message),)


def _ready(conditions: Sequence[Condition]) -> Condition | None:
    return next((it for it in conditions if it.type == "Ready"), None)


def _requeue_after_s(seen: Snapshot, served: Serving) -> float | None:
    """Servers elsewhere are looked at again and again, each at a moment of its own."""
    if seen.deployment.spec.triton is not None or seen.deployment.spec.suspend:
        return served.requeue_after_s
    if seen.is_probing:
        return PROBE_POLL_S
    return PROBE_PERIOD_S + zlib.crc32(seen.deployment.metadata.uid.encode()) % 2000 / 1000
