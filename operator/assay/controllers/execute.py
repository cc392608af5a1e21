"""Carrying out a plan: the only place that writes to the cluster.

Effects run in their order and stop at the first that fails, so that nothing is built on what is not there. The status
comes after the effects, events after the status: news of a commit is told once it is one. Invariant: a plan that asks
for what is there already causes no request.
"""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from assay.controllers.stores import FIELD_MANAGER, Stores
from assay.kube import errors
from assay.kube.client import KubeClient
from assay.kube.drift import DriftTracker, Seen
from assay.kube.recorder import Recorder
from assay.kube.resources import Object, ObjectRef
from assay.planning.plan import Apply, Create, Delete, Effect, Emit

STATUS_MANAGER = "assay-status"

log = logging.getLogger(__name__)


class Executor:
    """Runs effects against the API server, sparing it what the caches show to be done."""

    def __init__(self, client: KubeClient, stores: Stores, recorder: Recorder) -> None:
        self._client = client
        self._stores = stores
        self._recorder = recorder
        self._tracker = DriftTracker(FIELD_MANAGER)
        for store in stores.values():
            store.subscribe(self._tracker.on_change)

    async def run(self, effects: Iterable[Effect]) -> None:
        """Carry out all effects but events, in order. Raises `KubeError` at the first that fails."""
        for effect in effects:
            match effect:
                case Apply(manifest):
                    await self._apply(manifest)
                case Create(manifest):
                    await self._create(manifest)
                case Delete():
                    await self._delete(effect)
                case Emit():
                    pass

    def tell(self, about: Mapping[str, Any], effects: Iterable[Effect]) -> None:
        """Emit the events among the effects."""
        for effect in effects:
            if isinstance(effect, Emit):
                self._recorder.emit(ObjectRef.of(about), effect.type, effect.reason, effect.message)

    async def write_status(self, obj: Mapping[str, Any], status: Mapping[str, Any]) -> Object:
        """Apply the whole status, only to the version of the object that was read. Raises `Conflict` else."""
        metadata = {name: obj["metadata"][name] for name in ("namespace", "name", "uid", "resourceVersion")}
        manifest = {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "metadata": metadata, "status": status}
        return await self._client.apply_status(manifest, field_manager=STATUS_MANAGER)

    async def _apply(self, manifest: Mapping[str, Any]) -> None:
        reason = self._tracker.reason_to_apply(manifest, await self._seen(manifest))
        if reason is None:
            return
        answer = await self._client.apply(manifest, field_manager=FIELD_MANAGER)
        self._tracker.applied(manifest, answer)
        log.info("applied %s: %s", ObjectRef.of(manifest), reason)

    async def _create(self, manifest: Mapping[str, Any]) -> None:
        seen = await self._seen(manifest)
        if seen.object is not None:
            return
        try:
            await self._client.create(manifest, field_manager=FIELD_MANAGER)
        except errors.AlreadyExists:
            await self._refuse_stranger(manifest)
            return
        log.info("created %s", ObjectRef.of(manifest))

    async def _refuse_stranger(self, manifest: Mapping[str, Any]) -> None:
        """Raise `Invalid` if what has the name is not what an earlier pass made and the cache is about to show."""
        ref = ObjectRef.of(manifest)
        resource = await self._client.resource_for(ref.api_version, ref.kind)
        found, _ = await self._client.list(resource, ref.namespace, field_selector=f"metadata.name={ref.name}")
        if found and not _is_same_child(found[0]["metadata"], manifest["metadata"]):
            remedy = "delete it, and the operator makes its own"
            raise errors.Invalid(f"create {ref}", f"another object has the name; {remedy}")

    async def _delete(self, effect: Delete) -> None:
        ref = ObjectRef(effect.api_version, effect.kind, effect.namespace, effect.name, effect.uid)
        try:
            await self._client.delete(ref)
        except (errors.NotFound, errors.Conflict):
            return
        log.info("deleted %s", ref)

    async def _seen(self, manifest: Mapping[str, Any]) -> Seen:
        ref = ObjectRef.of(manifest)
        resource = await self._client.resource_for(ref.api_version, ref.kind)
        return self._stores[resource.plural].seen(ref.key)


def _is_same_child(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether it is the child of the same owner, with the labels by which it is watched."""
    owners = {owner["uid"] for owner in found.get("ownerReferences") or ()}
    labels = found.get("labels") or {}
    return {owner["uid"] for owner in wanted.get("ownerReferences") or ()} <= owners and all(
        labels.get(name) == value for name, value in (wanted.get("labels") or {}).items()
    )
