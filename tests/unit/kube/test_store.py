"""The store tells every difference once, whatever the history of lists, events and losses."""

import copy
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.kube.resources import Key, Object, key_of
from assay.kube.store import Store, by_controller, by_labels


def obj(name: str, version: int, uid: str = "", namespace: str = "demo", **metadata: object) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "namespace": namespace,
            "name": name,
            "uid": uid or f"uid-{name}",
            "resourceVersion": str(version),
            **metadata,
        },
    }


class News:
    """Hears a store, and keeps a copy of what it was told: the mirror must stay equal to the store."""

    def __init__(self, store: Store) -> None:
        self.told: list[tuple[str, str | None, str | None]] = []
        self.mirror: dict[Key, Object] = {}
        store.subscribe(self.hear)

    def hear(self, old: Object | None, new: Object | None) -> None:
        key = key_of(new or old or {})
        assert self.mirror.get(key) == old, "the old state told is not the one told before"
        assert old is not None or new is not None
        if new is None:
            del self.mirror[key]
        else:
            self.mirror[key] = copy.deepcopy(new)
        uids = [state["metadata"]["uid"] if state else None for state in (old, new)]
        assert None in uids or uids[0] == uids[1], "an object changed its UID without being deleted"
        self.told.append((key[1], *(state and state["metadata"]["resourceVersion"] for state in (old, new))))  # type: ignore[arg-type]


def test_a_list_tells_what_is_new_what_changed_and_what_is_gone() -> None:
    store = Store()
    news = News(store)
    store.replace([obj("a", 1), obj("b", 2), obj("c", 3)], "3")
    assert news.told == [("a", None, "1"), ("b", None, "2"), ("c", None, "3")]
    news.told.clear()
    store.replace([obj("a", 1), obj("b", 5), obj("d", 6)], "6")
    assert news.told == [("c", "3", None), ("b", "2", "5"), ("d", None, "6")]
    assert store.keys() == [("demo", "a"), ("demo", "b"), ("demo", "d")]


def test_an_event_with_a_known_version_tells_nothing() -> None:
    store = Store()
    news = News(store)
    store.replace([obj("a", 1)], "1")
    store.apply_event("MODIFIED", obj("a", 2))
    store.apply_event("MODIFIED", obj("a", 2))
    assert news.told == [("a", None, "1"), ("a", "1", "2")]


@pytest.mark.parametrize("how", ["list", "event"])
def test_another_uid_under_the_same_name_is_a_deletion_and_a_creation(how: str) -> None:
    store = Store()
    news = News(store)
    store.replace([obj("a", 1, uid="first")], "1")
    if how == "list":
        store.replace([obj("a", 5, uid="second")], "5")
    else:
        store.apply_event("ADDED", obj("a", 5, uid="second"))
    assert news.told == [("a", None, "1"), ("a", "1", None), ("a", None, "5")]


def test_a_deletion_of_an_earlier_incarnation_or_of_the_unknown_tells_nothing() -> None:
    store = Store()
    news = News(store)
    store.replace([obj("a", 1, uid="second")], "1")
    store.apply_event("DELETED", obj("a", 2, uid="first"))
    store.apply_event("DELETED", obj("b", 3))
    assert news.told == [("a", None, "1")]


def test_events_that_the_list_already_contains_do_not_revert_it() -> None:
    store = Store()
    news = News(store)
    store.replace([obj("a", 8)], "10")
    store.apply_event("MODIFIED", obj("a", 5))
    store.apply_event("ADDED", obj("ghost", 6))
    store.apply_event("DELETED", obj("a", 9))
    assert (news.told, store.resource_version) == ([("a", None, "8")], "10")
    store.apply_event("MODIFIED", obj("a", 11))
    assert (store.get(("demo", "a")) or {})["metadata"]["resourceVersion"] == "11"


def test_a_late_list_neither_reverts_what_was_written_nor_revives_what_was_deleted_since() -> None:
    store = Store()
    store.replace([obj("a", 1), obj("b", 2)], "2")
    late = [obj("a", 1), obj("b", 2)]
    store.apply_event("MODIFIED", obj("a", 3))
    store.apply_event("DELETED", obj("b", 4))
    store.apply_event("ADDED", obj("c", 5))
    store.replace(late, "2")
    assert {o["metadata"]["name"]: o["metadata"]["resourceVersion"] for o in store.items()} == {"a": "3", "c": "5"}


def test_an_answer_that_comes_after_the_deletion_does_not_revive_the_object() -> None:
    store = Store()
    store.replace([obj("a", 1)], "1")
    store.apply_event("DELETED", obj("a", 3))
    store.apply_event("MODIFIED", obj("a", 2))
    assert len(store) == 0


def test_an_event_older_than_the_answer_to_ones_own_write_does_not_revert_it() -> None:
    store = Store()
    store.replace([obj("a", 1)], "1")
    store.apply_event("MODIFIED", obj("a", 5))
    store.apply_event("MODIFIED", obj("a", 3))
    assert (store.get(("demo", "a")) or {})["metadata"]["resourceVersion"] == "5"


def test_a_server_restored_from_a_backup_is_believed() -> None:
    store = Store()
    store.replace([obj("a", 90), obj("b", 95)], "100")
    store.apply_event("DELETED", obj("b", 101))
    store.replace([obj("a", 40), obj("b", 41)], "50")
    assert [o["metadata"]["resourceVersion"] for o in store.items()] == ["40", "41"]
    store.apply_event("MODIFIED", obj("a", 51))
    assert store.resource_version == "51"


def test_versions_that_are_no_numbers_are_taken_in_the_order_they_come() -> None:
    def at(name: str, version: str) -> Object:
        changed = obj(name, 0)
        changed["metadata"]["resourceVersion"] = version
        return changed

    store = Store()
    store.replace([at("a", "x1"), at("b", "x2")], "x2")
    store.apply_event("MODIFIED", at("a", "x3"))
    store.apply_event("DELETED", at("b", "x4"))
    assert [o["metadata"]["resourceVersion"] for o in store.items()] == ["x3"]
    store.replace([at("a", "x5"), at("c", "x6")], "x6")
    assert [o["metadata"]["resourceVersion"] for o in store.items()] == ["x5", "x6"]


def test_deletions_are_not_remembered_for_ever() -> None:
    store = Store()
    for number in range(5000):
        store.apply_event("DELETED", obj(f"o{number}", number + 1))
    assert len(store._deleted) == 4096


def test_a_bookmark_only_moves_the_version() -> None:
    store = Store()
    news = News(store)
    store.replace([obj("a", 1)], "1")
    store.apply_event("BOOKMARK", {"metadata": {"resourceVersion": "40"}})
    assert (store.resource_version, len(news.told)) == ("40", 1)


def test_a_subscriber_that_raises_costs_neither_the_others_nor_the_store(caplog: pytest.LogCaptureFixture) -> None:
    def broken(old: Object | None, new: Object | None) -> None:
        raise ZeroDivisionError

    store = Store()
    store.subscribe(broken)
    news = News(store)
    with caplog.at_level(logging.ERROR):
        store.replace([obj("a", 1)], "1")
    assert news.told == [("a", None, "1")]
    assert len(caplog.records) == 1


def test_managed_fields_are_dropped_but_for_a_digest_of_ours() -> None:
    entry = {"manager": "assay", "operation": "Apply", "apiVersion": "v1", "time": "t1", "fieldsV1": {"f:data": {}}}
    other = {"manager": "kubectl", "operation": "Update", "apiVersion": "v1", "fieldsV1": {"f:metadata": {}}}
    store = Store(manager="assay")
    store.replace([obj("a", 1, managedFields=[entry, other])], "1")
    first = store.seen(("demo", "a"))
    assert first.object is not None
    assert "managedFields" not in first.object["metadata"]
    assert first.digest is not None
    store.apply_event("MODIFIED", obj("a", 2, managedFields=[{**entry, "time": "t2"}]))
    assert store.seen(("demo", "a")).digest == first.digest
    store.apply_event("MODIFIED", obj("a", 3, managedFields=[{**entry, "fieldsV1": {}}]))
    assert store.seen(("demo", "a")).digest != first.digest
    store.apply_event("MODIFIED", obj("a", 4, managedFields=[other]))
    assert store.seen(("demo", "a")).digest is None


def test_indexes_follow_changes_and_forget_what_is_gone() -> None:
    owner = [{"uid": "owner-1", "controller": True}, {"uid": "bystander"}]
    store = Store(indexers={"owner": by_controller, "label": by_labels("kind", "name")})
    labels = {"kind": "Subnet", "name": "x"}
    store.replace([obj("b", 1, ownerReferences=owner, labels=labels), obj("a", 2, labels=labels)], "2")
    assert [o["metadata"]["name"] for o in store.by_index("label", ("Subnet", "x"))] == ["a", "b"]
    assert [o["metadata"]["name"] for o in store.by_index("owner", "owner-1")] == ["b"]
    assert store.by_index("owner", "bystander") == []
    store.apply_event("MODIFIED", obj("b", 3, labels={"kind": "Subnet"}))
    assert [o["metadata"]["name"] for o in store.by_index("label", ("Subnet", "x"))] == ["a"]
    assert store.by_index("owner", "owner-1") == []
    store.replace([], "9")
    assert store._indexes == {"owner": {}, "label": {}}


class Server:
    """A history of objects as an API server keeps it: one counter, an event a change, a memory that is compacted."""

    def __init__(self) -> None:
        self.version = 1
        self.objects: dict[str, Object] = {}
        self.log: list[tuple[int, str, Object]] = []
        self.compacted = 0
        self._births = 0

    def write(self, name: str) -> None:
        self.version += 1
        known = self.objects.get(name)
        if known is None:
            self._births += 1
        uid = known["metadata"]["uid"] if known else f"{name}-{self._births}"
        self.objects[name] = obj(name, self.version, uid=uid, labels={"parity": str(self.version % 2)})
        self.log.append((self.version, "MODIFIED" if known else "ADDED", self.objects[name]))

    def delete(self, name: str) -> None:
        if name in self.objects:
            self.version += 1
            last = copy.deepcopy(self.objects.pop(name))
            last["metadata"]["resourceVersion"] = str(self.version)
            self.log.append((self.version, "DELETED", last))

    def compact(self) -> None:
        self.compacted = self.version


STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["write", "write", "delete"]), st.sampled_from("abcde")),
        st.tuples(
            st.sampled_from(["watch", "watch", "relist", "compact", "ask", "answer", "write through"]), st.just("")
        ),
    ),
    max_size=80,
)


@settings(max_examples=400, deadline=None)
@given(steps=STEPS, positions=st.lists(st.integers(0, 10), min_size=1))
def test_after_any_history_the_store_equals_the_server_and_every_change_was_told(
    steps: list[tuple[str, str]], positions: list[int]
) -> None:
    """Lists may be answered late, beside a watch that went on meanwhile; answers to writes come in at any time."""
    server, store = Server(), Store(indexers={"parity": by_labels("parity")})
    news = News(store)
    position: int | None = None  # how far the watch has read; None: must list
    asked: tuple[list[Object], str] | None = None

    def listed() -> tuple[list[Object], str]:
        return [copy.deepcopy(o) for o in server.objects.values()], str(server.version)

    def catch_up(limit: int | None) -> None:
        nonlocal position
        if position is None or position < server.compacted:
            store.replace(*listed())
            position = server.version
        pending = [entry for entry in server.log if entry[0] > (position or 0)]
        for version, kind, changed in pending[:limit]:
            store.apply_event(kind, copy.deepcopy(changed))  # type: ignore[arg-type]
            position = version

    for number, (step, name) in enumerate(steps):
        pick = positions[number % len(positions)]
        if step == "write":
            server.write(name)
        elif step == "delete":
            server.delete(name)
        elif step == "compact":
            server.compact()
        elif step == "relist":
            store.replace(*listed())
        elif step == "ask":
            asked = asked or listed()
        elif step == "answer":
            if asked and int(asked[1]) >= int(store._listed_version):  # one list at a time
                store.replace(*asked)
            asked = None
        elif step == "write through":
            answers = [entry for entry in server.log if entry[1] != "DELETED"]
            if answers and position is not None:
                store.apply_event("MODIFIED", copy.deepcopy(answers[-1 - pick % len(answers)][2]))
        else:
            catch_up(pick)
    catch_up(None)
    assert {key[1]: o for key, o in news.mirror.items()} == server.objects
    assert [o["metadata"]["name"] for o in store.items()] == sorted(server.objects)
    for parity in "01":
        expected = sorted(n for n, o in server.objects.items() if o["metadata"]["labels"]["parity"] == parity)
        assert [o["metadata"]["name"] for o in store.by_index("parity", (parity,))] == expected
