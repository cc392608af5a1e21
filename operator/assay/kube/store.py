"""The watch cache's memory: the last known state of every object of a kind.

Owns the comparison of lists and events with what is known, the indexes, and the news to subscribers. It must never
be changed from outside, and hands its objects out unshielded: they are read, never written. Invariants: every
difference is told exactly once, as (old, new), with None for absent; an object that vanished while nobody watched
is told as deleted; another UID under the same name is told as a deletion and a creation.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any

from assay.kube.drift import Seen, managed_digest
from assay.kube.resources import Key, Object, key_of
from assay.kube.stream import EventType

log = logging.getLogger(__name__)

# Deletions remembered, so that an answer or a list that is older than they are does not bring an object back.
_REMEMBERED = 4096

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
        self._deleted: OrderedDict[str, str] = OrderedDict()  # UID -> the version of its deletion, oldest first

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
        """Take a complete list as the truth of its version: tell what is new, what changed, and what is gone.

        What is known to be newer than the list, it does not contradict: an object written since stays as it is, one
        deleted since does not come back.
        """
        listed = {key_of(item): item for item in items}
        if is_newer(self._listed_version, resource_version):
            # Versions never go back, but for a server restored from a backup: then what we know is of another history.
            self._deleted.clear()
            self._resource_version = resource_version
            newer: set[Key] = set()
        else:
            newer = {key for key, obj in self._objects.items() if is_newer(_version(obj), resource_version)}
        self._listed_version = resource_version
        self.advance(resource_version)
        for key in sorted(self._objects.keys() - listed.keys() - newer):
            self._remove(key)
        for key in sorted(listed.keys() - newer):
            if not self._is_deleted(listed[key], resource_version):
                self._put(key, listed[key])

    def apply_event(self, kind: EventType, obj: Object) -> None:
        """Take one event of a watch, or (as MODIFIED) the answer to a write of one's own.

        What is older than the list or than the object known already is passed over: it would revert them.
        """
        version = _version(obj)
        if not is_newer(version, self._listed_version):
            return
        self.advance(version)
        if kind == "BOOKMARK":
            return
        key = key_of(obj)
        known = self._objects.get(key)
        if kind == "DELETED":
            self._note_deletion(obj, version)
            if known and _uid(known) == _uid(obj):
                self._remove(key)
        elif not self._is_deleted(obj, version) and (known is None or is_newer(version, _version(known))):
            self._put(key, obj)

    def advance(self, resource_version: str) -> None:
        """Note that nothing else happened up to `resource_version`."""
        if is_newer(resource_version, self._resource_version):
            self._resource_version = resource_version

    def _note_deletion(self, obj: Object, version: str) -> None:
        self._deleted[_uid(obj)] = version
        while len(self._deleted) > _REMEMBERED:
            self._deleted.popitem(last=False)

    def _is_deleted(self, obj: Object, version: str) -> bool:
        """Whether an object, as of `version`, is known to be deleted since."""
        deleted = self._deleted.get(_uid(obj))
        return deleted is not None and is_newer(deleted, version)

    def _put(self, key: Key, obj: Object) -> None:
        old = self._objects.get(key)
        if old is not None:
            if _uid(old) != _uid(obj):
                self._remove(key)
                old = None
            elif _version(old) == _version(obj):
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


def _uid(obj: Object) -> str:
    return str(obj["metadata"].get("uid", ""))


def _version(obj: Object) -> str:
    return str(obj["metadata"]["resourceVersion"])


def _without_managed_fields(obj: Object) -> Object:
    metadata = {name: value for name, value in obj["metadata"].items() if name != "managedFields"}
    return {**obj, "metadata": metadata}
