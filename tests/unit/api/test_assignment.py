"""Assignments: one set of bytes for one meaning, strict to read."""

import json
from copy import deepcopy
from typing import Any

import pytest

from assay.api import Assignment, InvalidObject, digest_of

OWNER = {
    "apiVersion": "assay.dev/v1alpha1",
    "kind": "ValidatorPolicy",
    "name": "val-a",
    "uid": "u-2",
    "controller": True,
    "blockOwnerDeletion": True,
}
EXAMPLE: dict[str, Any] = {
    "schema": "assay.dev/assignment/v1",
    "subnet": {"namespace": "demo", "name": "embeddings", "uid": "u-1"},
    "epoch": 40,
    "validator": {"namespace": "val-a", "name": "val-a", "uid": "u-2"},
    "report": {"namespace": "val-a", "name": "val-a-40-0123abcd", "ownerReference": OWNER},
    "deadline": "2026-11-24T20:15:00Z",
    "seed": "ab" * 32,
    "task": "Embedding",
    "model": {"name": "minilm", "version": "1"},
    "miners": [
        {"uid": 0, "namespace": "m", "name": "honest-0", "url": "grpc://10.0.0.7:8001", "ca": None, "tokenFile": None},
        {"uid": 1, "namespace": "m", "name": "down", "url": None, "ca": None, "tokenFile": None},
    ],
    "challenge": {
        "samplesPerMiner": 32,
        "random": {"kind": "Sentences"},
        "timeoutMs": 5000,
        "concurrencyPerMiner": 2,
        "concurrencyTotal": 32,
    },
    "reference": None,
    "scoring": {
        "metric": "CosineDistance",
        "tolerance": "0.001",
        "latencyTargetMs": 250,
        "latencyWeightPercent": 20,
        "exponent": 2,
    },
}


def encoded(obj: Any) -> bytes:
    return json.dumps(obj).encode()


def test_the_bytes_are_canonical() -> None:
    data = Assignment.parse_file(encoded(EXAMPLE)).canonical_bytes()
    assert data == json.dumps(EXAMPLE, sort_keys=True, separators=(",", ":")).encode()


def test_reading_and_writing_is_a_fixed_point() -> None:
    first = Assignment.parse_file(encoded(EXAMPLE))
    again = Assignment.parse_file(first.canonical_bytes())
    assert again == first
    assert again.digest() == first.digest() == digest_of(first.canonical_bytes())


def test_the_digest_is_that_of_the_file() -> None:
    assert digest_of(b"") == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_letters_beyond_ascii_are_written_as_utf8() -> None:
    changed = deepcopy(EXAMPLE)
    changed["miners"][0]["ca"] = "é"
    assert "é".encode() in Assignment.parse_file(encoded(changed)).canonical_bytes()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        pytest.param(
            {"schema": "assay.dev/assignment/v2"}, "schema: 'assay.dev/assignment/v2' is unknown", id="schema"
        ),
        pytest.param({"seed": "AB" * 32}, "seed: ", id="seed in capitals"),
        pytest.param({"seed": "ab"}, "seed: ", id="short seed"),
        pytest.param({"deadline": "soon"}, "deadline: must be an instant in RFC 3339", id="deadline"),
        pytest.param({"epoch": "40"}, "epoch: '40' is a string; write a whole number", id="epoch in quotes"),
        pytest.param(
            {"miners": [{"uid": 70000, "namespace": "m", "name": "a"}]}, "miners[0].uid: 70000 > 65535", id="uid"
        ),
    ],
)
def test_a_bad_assignment_is_refused(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidObject) as refused:
        Assignment.parse_file(encoded(EXAMPLE | change))
    assert refused.value.problems[0].startswith(f"assignment: {problem}")


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b'"\\ud800'])
def test_bytes_that_are_no_json_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidObject, match="assignment: is not JSON"):
        Assignment.parse_file(data)
