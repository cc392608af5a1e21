import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.triton import InferenceFailure, InvalidTensor, Reason
from assay.triton.http_client import _decode, _encode, _specs

TEXT = np.array([b"hello", b"\xff"], np.object_)
NUMBERS = np.array([[1.5, -2.0]], np.float32)


def described(**changes: Any) -> dict[str, Any]:
    return {"name": "y", "shape": [1, 2], "datatype": "FP32", "data": [1.5, -2.0], **changes}


def answer(*outputs: object, raw: bytes = b"") -> tuple[bytes, int | None]:
    head = json.dumps({"outputs": outputs}).encode()
    return head + raw, len(head) if raw else None


def test_a_request_in_raw_bytes_describes_what_follows() -> None:
    head, tail = _encode({"text": TEXT, "x": NUMBERS}, binary=True)
    asked = json.loads(head)
    sizes = [each["parameters"]["binary_data_size"] for each in asked["inputs"]]
    assert asked["parameters"] == {"binary_data_output": True}
    assert sizes == [4 + 5 + 4 + 1, 8]
    assert tail == b"\5\0\0\0hello\1\0\0\0\xff" + NUMBERS.tobytes()


def test_a_request_in_json_holds_its_data() -> None:
    head, tail = _encode({"text": TEXT, "x": NUMBERS}, binary=False)
    assert [each["data"] for each in json.loads(head)["inputs"]] == [["hello", "�"], [1.5, -2.0]]
    assert tail == b""


def test_raw_and_json_outputs_may_be_mixed() -> None:
    raw = described(name="a", data=None, parameters={"binary_data_size": 8})
    decoded = _decode(*answer(raw, described(name="b"), raw=NUMBERS.tobytes()))
    assert decoded["a"].tolist() == decoded["b"].tolist() == NUMBERS.tolist()


@pytest.mark.parametrize(
    ("body", "header_bytes", "message"),
    [
        pytest.param(b"{}", None, "expected a list of outputs", id="no outputs"),
        pytest.param(b'{"outputs": [1]}', None, "outputs: expected objects", id="a number as output"),
        pytest.param(b"{}", 3, "3 of 2 bytes", id="a JSON part beyond the answer"),
        pytest.param(*answer(described(), described()), "output y came twice", id="an output twice"),
        pytest.param(
            *answer(described(), raw=b"1234"), "4 bytes belong to no output", id="bytes that nobody describes"
        ),
        pytest.param(
            *answer(described(parameters={"binary_data_size": True}), raw=b"1"),
            "binary_data_size is wrong",
            id="a truth value as size",
        ),
        pytest.param(
            *answer(described(parameters={"binary_data_size": -1}), raw=b"1"),
            "binary_data_size is wrong",
            id="a negative size",
        ),
        pytest.param(b"\xff\xfe", None, "no JSON", id="no text"),
    ],
)
def test_an_answer_that_is_none_is_a_protocol_error(body: bytes, header_bytes: int | None, message: str) -> None:
    with pytest.raises(InferenceFailure, match=message) as failed:
        _decode(body, header_bytes)
    assert failed.value.reason is Reason.PROTOCOL_ERROR


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
OUTPUT = st.fixed_dictionaries(
    {},
    optional={
        "name": st.just("y") | JSON,
        "shape": st.lists(st.integers(-1, 3), max_size=3) | JSON,
        "datatype": st.sampled_from(["FP32", "BYTES", "BF16", "INT8", "BOOL"]) | JSON,
        "data": st.lists(JSON, max_size=4) | JSON,
        "parameters": st.fixed_dictionaries({"binary_data_size": st.integers(-1, 16) | JSON}) | JSON,
    },
)


@given(outputs=st.lists(OUTPUT | JSON, max_size=3), raw=st.binary(max_size=24))
def test_any_json_is_an_answer_or_a_failure(outputs: list[object], raw: bytes) -> None:
    try:
        decoded = _decode(*answer(*outputs, raw=raw))
    except (InferenceFailure, InvalidTensor):
        return
    assert all(isinstance(tensor, np.ndarray) for tensor in decoded.values())


@given(body=st.binary(max_size=64), header_bytes=st.none() | st.integers(0, 80))
def test_any_bytes_are_an_answer_or_a_failure(body: bytes, header_bytes: int | None) -> None:
    try:
        _decode(body, header_bytes)
    except (InferenceFailure, InvalidTensor):
        return


@given(inputs=st.lists(OUTPUT | JSON, max_size=3) | JSON)
def test_any_metadata_is_read_or_a_failure(inputs: object) -> None:
    try:
        specs = _specs(inputs)
    except InferenceFailure:
        return
    assert all(type(size) is int for spec in specs for size in spec.shape)
