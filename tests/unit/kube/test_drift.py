"""When to apply and when to send nothing; the server's part of it is proved in tests/integration/test_kube_drift.py."""

import pytest

from assay.kube.drift import DriftTracker, Reason, Seen, managed_digest
from assay.kube.resources import Object, ObjectRef

MANIFEST: Object = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"namespace": "d", "name": "a"},
    "data": {"k": "v"},
}
OURS = {"manager": "assay", "operation": "Apply", "apiVersion": "v1", "fieldsV1": {"f:data": {"f:k": {}}}}


def answer(version: str = "10", uid: str = "u1", entry: Object | None = OURS) -> Object:
    metadata = {**MANIFEST["metadata"], "uid": uid, "resourceVersion": version}
    return {**MANIFEST, "metadata": {**metadata, "managedFields": [entry] if entry else []}}


def seen(version: str = "10", uid: str = "u1", entry: Object | None = OURS, come: str = "99") -> Seen:
    obj = answer(version, uid, entry)
    return Seen(obj, managed_digest(obj, "assay"), come)


def absent(come: str) -> Seen:
    return Seen(None, None, come)


def tracker(now_s: list[float] | None = None) -> DriftTracker:
    clock = now_s or [0.0]
    known = DriftTracker("assay", now_s=lambda: clock[0])
    known.applied(MANIFEST, answer())
    return known


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        pytest.param(seen(), None, id="nothing changed"),
        pytest.param(seen("12"), None, id="others changed what is theirs"),
        pytest.param(seen("12", entry={**OURS, "time": "later"}), None, id="only the entry's time changed"),
        pytest.param(seen("12", entry={**OURS, "fieldsV1": {}}), "drifted", id="a field was taken from us"),
        pytest.param(seen("12", entry=None), "disowned", id="our entry is gone"),
        pytest.param(seen("12", entry={**OURS, "apiVersion": "v2"}), "drifted", id="our entry is of another version"),
        pytest.param(seen("12", uid="u2"), "replaced", id="another object took the name"),
        pytest.param(absent("99"), "absent", id="deleted"),
        pytest.param(seen("9", entry=None), None, id="the cache shows it as it was before our write"),
        pytest.param(absent("9"), None, id="the cache does not show our creation yet"),
    ],
)
def test_reasons_to_apply(now: Seen, expected: Reason | None) -> None:
    assert tracker().reason_to_apply(MANIFEST, now) == expected


def test_a_changed_intent_is_applied_even_while_the_cache_lags() -> None:
    changed = {**MANIFEST, "data": {"k": "w"}}
    assert tracker().reason_to_apply(changed, seen("9")) == "intent"


def test_what_this_process_never_applied_is_applied_once() -> None:
    fresh = DriftTracker("assay")
    assert fresh.reason_to_apply(MANIFEST, seen()) == "unknown"
    assert fresh.reason_to_apply(MANIFEST, absent("1")) == "absent"
    fresh.applied(MANIFEST, answer())
    assert fresh.reason_to_apply(MANIFEST, seen()) is None


def test_a_cache_that_lags_too_long_is_not_trusted() -> None:
    now_s = [0.0]
    known = tracker(now_s)
    now_s[0] = 31
    assert known.reason_to_apply(MANIFEST, absent("9")) == "absent"
    assert known.reason_to_apply(MANIFEST, seen("9", entry=None)) == "disowned"


def test_versions_that_do_not_compare_are_taken_as_they_are() -> None:
    assert tracker().reason_to_apply(MANIFEST, seen("abc", entry=None)) == "disowned"


def test_forgetting_leaves_no_trace() -> None:
    known = tracker()
    known.forget(ObjectRef.of(MANIFEST))
    assert len(known) == 0


def test_a_deletion_told_by_the_cache_forgets_that_incarnation_only() -> None:
    known = tracker()
    known.on_change(answer(uid="u0"), None)
    assert len(known) == 1
    known.on_change(answer(), answer("11"))
    assert len(known) == 1
    known.on_change(answer(), None)
    assert len(known) == 0


@pytest.mark.parametrize(
    "entry",
    [
        {**OURS, "manager": "kubectl"},
        {**OURS, "operation": "Update"},
        {**OURS, "subresource": "status"},
    ],
    ids=["of another manager", "of an update", "of a subresource"],
)
def test_entries_that_are_not_our_apply_do_not_count(entry: Object) -> None:
    assert managed_digest(answer(entry=entry), "assay") is None
