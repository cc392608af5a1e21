"""Whether an object must be applied again, decided without asking the server.

Owns the comparison of what was applied with what the watch cache sees. Quantities, defaults and unordered lists
make a comparison of fields a guess; the server's own record of who owns what does not. When another manager changes
or removes a field that we applied, the server takes the field out of our managedFields entry; so an unchanged entry
under an unchanged intent means that nothing of ours drifted. Fields that others add are none of our business. Pure,
but for the tracker's own memory.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any, Literal

from assay.kube.resources import Object, ObjectRef

Reason = Literal["absent", "unknown", "intent", "replaced", "disowned", "drifted"]
"""Why to apply: there is no such object; it was not applied by this process yet; the manifest changed; another
object took the name; our managedFields entry is gone; a field of ours was changed or removed."""

# How long a cache that lags behind our own write is trusted to catch up. Beyond it the write is repeated, which is
# harmless; so even a server whose versions went backwards (restored from a backup) is repaired.
_LAG_S = 30.0


@dataclass(frozen=True, slots=True)
class Seen:
    """What a watch cache shows of one object: the object, the digest of our entry, and how far the cache has come."""

    object: Object | None
    digest: str | None
    resource_version: str


@dataclass(frozen=True, slots=True)
class _Applied:
    uid: str
    resource_version: str
    intent: str
    digest: str | None
    at_s: float


def managed_digest(obj: Mapping[str, Any], manager: str) -> str | None:
    """A digest of what `manager` owns by server-side apply of the main resource; None if it owns nothing."""
    entries = obj["metadata"].get("managedFields") or ()
    owned = [
        [entry.get("apiVersion"), entry.get("fieldsV1")]
        for entry in entries
        if entry.get("manager") == manager and entry.get("operation") == "Apply" and not entry.get("subresource")
    ]
    return _digest(owned) if owned else None


class DriftTracker:
    """Remembers what was applied under one field manager. After a restart every child is applied once."""

    def __init__(self, manager: str, now_s: Callable[[], float] = monotonic) -> None:
        self.manager = manager
        self._now_s = now_s
        self._applied: dict[tuple[str, str, str, str], _Applied] = {}

    def __len__(self) -> int:
        """How many objects are remembered."""
        return len(self._applied)

    def reason_to_apply(self, manifest: Mapping[str, Any], seen: Seen) -> Reason | None:
        """Why `manifest` must be applied, or None if the cluster holds it already."""
        last = self._applied.get(_identity(manifest))
        if last is None:
            return "unknown" if seen.object else "absent"
        if last.intent != _digest(manifest):
            return "intent"
        if self._lags(seen, last):
            return None
        if seen.object is None:
            return "absent"
        if seen.object["metadata"].get("uid") != last.uid:
            return "replaced"
        if seen.digest is None:
            return "disowned"
        return "drifted" if seen.digest != last.digest else None

    def applied(self, manifest: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        """Remember that `manifest` was applied and the server answered with the object `answer`."""
        metadata = answer["metadata"]
        self._applied[_identity(manifest)] = _Applied(
            uid=metadata["uid"],
            resource_version=metadata["resourceVersion"],
            intent=_digest(manifest),
            digest=managed_digest(answer, self.manager),
            at_s=self._now_s(),
        )

    def forget(self, ref: ObjectRef) -> None:
        """Forget an object, for instance because it was deleted."""
        self._applied.pop((ref.api_version, ref.kind, *ref.key), None)

    def on_change(self, old: Object | None, new: Object | None) -> None:
        """Forget what is gone: to be subscribed to the caches."""
        if new is None and old is not None:
            last = self._applied.get(_identity(old))
            if last and last.uid == old["metadata"].get("uid"):
                self.forget(ObjectRef.of(old))

    def _lags(self, seen: Seen, last: _Applied) -> bool:
        """Whether the cache does not show our own last write yet. Versions of one server compare as whole numbers."""
        if self._now_s() - last.at_s > _LAG_S:
            return False
        version = seen.object["metadata"].get("resourceVersion") if seen.object else seen.resource_version
        try:
            return int(version or "0") < int(last.resource_version)
        except ValueError:
            return False


def _identity(obj: Mapping[str, Any]) -> tuple[str, str, str, str]:
    ref = ObjectRef.of(obj)
    return (ref.api_version, ref.kind, *ref.key)


def _digest(value: object) -> str:
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
