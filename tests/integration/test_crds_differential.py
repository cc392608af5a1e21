"""What the models accept, the API server accepts, and the other way round: on objects damaged in one random place."""

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from kubernetes import client

from assay.api import GROUP, KINDS, VERSION, InvalidObject
from crd_cases import load

pytestmark = pytest.mark.cluster

Path = tuple[str | int, ...]
MODELS = {kind.DEFINITION.kind: kind for kind in KINDS}
GOOD = [case.obj for case in load("good") if len(json.dumps(case.obj)) < 4_000]


def leaves(value: Any, path: Path = ()) -> Iterator[Path]:
    """Every place below `spec`, inner ones too."""
    if path:
        yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from leaves(inner, (*path, index))


NOTEWORTHY = """
    0 1 -1 1. .5 00 0.0 1e3 0s 10s 1.5s 1.s 1h1h 24h 24h1ms 999999h 5m 5M 5 m 1us a A a.b a..b a- -a
    a_b a/b ä True sha256: grpc://a:1 grpc://a:01 grpcs://[::1]:1 http://1.2.3.4 http://1.2.3.400
    https://a.b./x http://a: 2026-11-24T20:15:00Z 2026-11-24t20:15:00z 2026-11-24T24:00:00Z
    1969-12-31T23:59:59Z 2026-11-24 1Gi 1gi 01Gi 0Gi Same Selector Yuma2 Tensor a/b/c:tag a:b:c
    a@sha256:00
"""
STRINGS = st.one_of(
    st.sampled_from(["", "a\n", "2026-11-24 20:15:00Z", "5 m", *NOTEWORTHY.split()]),
    st.text(alphabet="aZ09.-_:/@%[]\\ \n\t~é", max_size=12),
    st.integers(1, 80).map(lambda size: "x" * size),
)
VALUES: st.SearchStrategy[Any] = st.one_of(
    STRINGS,
    st.sampled_from([0, 1, -1, 2, 8, 9, 64, 65, 100, 101, 65_535, 65_536, 10**6, 10**6 + 1, 10**15, 10**18, 2**63 - 1]),
    st.sampled_from([True, False, 0.5, [], {}, ["a"], {"a": "b"}]),
)


@st.composite
def damaged(draw: st.DrawFn) -> Mapping[str, Any]:
    """A good object in which one place was removed or replaced."""
    obj = deepcopy(draw(st.sampled_from(GOOD)))
    path = draw(st.sampled_from(list(leaves(obj["spec"]))))
    *parents, last = ("spec", *path)
    place: Any = obj
    for part in parents:
        place = place[part]
    if draw(st.booleans()) and isinstance(place, dict):
        del place[last]
    else:
        place[last] = draw(VALUES)
    return obj


@settings(
    max_examples=400, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(obj=damaged())
def test_server_and_model_agree(obj: Mapping[str, Any], custom_objects: client.CustomObjectsApi) -> None:
    server = verdict_of_server(custom_objects, obj)
    model = verdict_of_model(obj)
    note(f"object: {json.dumps(obj)}")
    note(f"server: {server}")
    note(f"model: {model}")
    assert (not server) == (not model)


def verdict_of_server(objects: client.CustomObjectsApi, obj: Mapping[str, Any]) -> str:
    """Return what the API server has against the object, or nothing."""
    plural = MODELS[obj["kind"]].DEFINITION.plural
    try:
        objects.create_namespaced_custom_object(GROUP, VERSION, "default", plural, obj, dry_run="All")
    except client.ApiException as refused:
        if refused.status == 422:
            return str(json.loads(refused.body)["message"])
        raise
    return ""


def verdict_of_model(obj: Mapping[str, Any]) -> str:
    """Return what the model has against the object, or nothing."""
    try:
        MODELS[obj["kind"]].parse(obj)
    except InvalidObject as refused:
        return str(refused)
    return ""
