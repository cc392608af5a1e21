"""The watch cache's memory: the last known state of every object of a kind.

Owns the comparison of lists and events with what is known, the indexes, and the news to subscribers. It must never
be changed from outside, and hands its objects out unshielded: they are read, never written. Invariants: every
difference is told exactly once, as (old, new), with None for absent; an object that vanished while nobody watched
is told as deleted; another UID under the same name is told as a deletion and a creation.
"""

import logging
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any

from assay.kube.drift import Seen, managed_digest
from assay.kube.resources import Key, Object, key_of
from assay.kube.stream import EventType

log = logging.getLogger(__name__)

OnChange = Callable[[Object | None, Object | None], None]
Indexer = Callable[[Mapping[str, Any]], Iterable[Hashable]]
"""The values under which an object is found. Must not raise, whatever the object looks like."""


def by_controller(obj: Mapping[str, Any]) -> Iterable[Hashable]:
    """Index by the UID of the controlling owner."""
    return [
        owner["uid"]
        for owner in obj["metadata"].get("ownerReferences") or ()
        if owner.get("controller") and owner.get("uid")
    ]


def by_labels(*names: str) -> Indexer:
    """Index by the values of these labels, as a tuple, where all of them are set."""

    def index(obj: Mapping[str, Any]) -> Iterable[Hashable]:
        labels = obj["metadata"].get("labels") or {}
        return [tuple(labels[name] for name in names)] if all(name in labels for name in names) else []

    return index


class Store:
    """Objects of one kind by (namespace, name).

    `manager` is the field manager whose entry is kept as a digest; the rest of managedFields, often half of an object,
    is dropped.
    """

    def __init__(self, *, manager: str = "", indexers: Mapping[str, Indexer] | None = None) -> None:
        self._manager = manager
        self._indexers = dict(indexers or {})
        self._objects: dict[Key, Object] = {}
        self._digests: dict[Key, str | None] = {}
        self._indexes: dict[str, dict[Hashable, set[Key]]] = {name: {} for name in self._indexers}
        self._subscribers: list[OnChange] = []
        self._resource_version = "0"
        self._listed_version = "0"

    def __len__(self) -> int:
        """How many objects are known."""
        return len(self._objects)

    @property
    def resource_version(self) -> str:
        """How far the store has come."""
        return self._resource_version

    def subscribe(self, on_change: OnChange) -> None:
        """Be told of every change from now on. Subscribers must not wait; what they raise is logged and ignored."""
        self._subscribers.append(on_change)

    def get(self, key: Key) -> Object | None:
        """The object, or None."""
        return self._objects.get(key)

    def seen(self, key: Key) -> Seen:
        """The object with what is needed to tell whether it drifted."""
        return Seen(self._objects.get(key), self._digests.get(key), self._resource_version)

    def keys(self) -> list[Key]:
        """All keys, sorted."""
        return sorted(self._objects)

    def items(self) -> list[Object]:
        """All objects, sorted by key."""
        return [self._objects[key] for key in self.keys()]

    def by_index(self, name: str, value: Hashable) -> list[Object]:
        """The objects that the indexer `name` files under `value`, sorted by key."""
        return [self._objects[key] for key in sorted(self._indexes[name].get(value, ()))]

    def replace(self, items: Iterable[Object], resource_version: str) -> None:
        """Take a complete list as the truth: tell what is new, what changed, and what is gone."""
        listed = {key_of(item): item for item in items}
        self._resource_version = self._listed_version = resource_version
        for key in sorted(self._objects.keys() - listed.keys()):
            self._remove(key)
        for key in sorted(listed):
            self._put(key, listed[key], is_truth=True)

    def apply_event(self, kind: EventType, obj: Object) -> None:
        """Take one event of a watch.

        Events that the last list already contains are passed over: they would revert it.
        """
        if not is_newer(obj["metadata"]["resourceVersion"], self._listed_version):
            return
        self.advance(obj["metadata"]["resourceVersion"])
        if kind == "BOOKMARK":
            return
        key = key_of(obj)
        if kind == "DELETED":
            known = self._objects.get(key)
            if known and known["metadata"].get("uid") == obj["metadata"].get("uid"):
                self._remove(key)
        else:
            self._put(key, obj)

    def advance(self, resource_version: str) -> None:
        """Note that nothing else happened up to `resource_version`."""
        self._resource_version = resource_version

    def _put(self, key: Key, obj: Object, *, is_truth: bool = False) -> None:
        """Take an object over. A list is the truth even if versions went back: the server may have been restored."""
        old = self._objects.get(key)
        if old is not None:
            was, now = old["metadata"], obj["metadata"]
            if was.get("uid") != now.get("uid"):
                self._remove(key)
                old = None
            elif was["resourceVersion"] == now["resourceVersion"] or (
                not is_truth and _is_older(now["resourceVersion"], was["resourceVersion"])
            ):
                return
            else:
                self._unindex(key, old)
        new = _without_managed_fields(obj)
        self._objects[key] = new
        self._digests[key] = managed_digest(obj, self._manager)
        for name, indexer in self._indexers.items():
            for value in indexer(new):
                self._indexes[name].setdefault(value, set()).add(key)
        self._tell(old, new)

    def _remove(self, key: Key) -> None:
        old = self._objects.pop(key)
        del self._digests[key]
        self._unindex(key, old)
        self._tell(old, None)

    def _unindex(self, key: Key, obj: Object) -> None:
        for name, indexer in self._indexers.items():
            for value in indexer(obj):
                keys = self._indexes[name][value]
                keys.discard(key)
                if not keys:
                    del self._indexes[name][value]

    def _tell(self, old: Object | None, new: Object | None) -> None:
        for subscriber in self._subscribers:
            try:
                subscriber(old, new)
            except Exception:
                # One deaf subscriber must not cost the others their news, nor the cache its watch.
                log.exception("a subscriber failed on a change of %s", key_of(new or old or {}))


def is_newer(version: str, than: str) -> bool:
    """Whether a resourceVersion comes after another of the same server; also true where they do not compare."""
    try:
        return int(version) > int(than)
    except ValueError:
        return True


def _is_older(version: str, known: str) -> bool:
    """Whether a version comes before the one known: the answer to a write of our own may be ahead of the watch.

    Versions of one server compare as whole numbers; where they do not, nothing is called older.
    """
    return version.isdigit() and known.isdigit() and int(version) < int(known)


def _without_managed_fields(obj: Object) -> Object:
    metadata = {name: value for name, value in obj["metadata"].items() if name != "managedFields"}
    return {**obj, "metadata": metadata}
