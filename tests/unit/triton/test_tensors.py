import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from assay.triton import InvalidTensor, Tensor, tensor_from_json, wire_bytes
from assay.triton.tensors import BYTES, DTYPES, datatype_of, decode, encode, from_values


def text(*values: bytes) -> Tensor:
    tensor = np.empty(len(values), object)
    tensor[:] = values
    return tensor


@given(tensor=st.sampled_from(sorted(DTYPES)).flatmap(lambda name: hnp.arrays(DTYPES[name], hnp.array_shapes())))
def test_numbers_survive_the_wire(tensor: Tensor) -> None:
    back = decode(datatype_of(tensor), tensor.shape, encode(tensor))
    assert back.dtype == tensor.dtype
    np.testing.assert_array_equal(back, tensor)


@given(elements=st.lists(st.binary(max_size=20), max_size=8))
def test_bytes_survive_the_wire(elements: list[bytes]) -> None:
    tensor = text(*elements)
    assert decode(BYTES, [len(elements)], encode(tensor)).tolist() == elements
    assert wire_bytes({"t": tensor}) == len(encode(tensor))


def test_equal_lengths_and_trailing_zeros_are_kept() -> None:
    tensor = decode(BYTES, [2], encode(text(b"a\0", b"b\0")))
    assert tensor.dtype == np.object_
    assert tensor.tolist() == [b"a\0", b"b\0"]


def test_bf16_becomes_float32() -> None:
    assert decode("BF16", [2], bytes.fromhex("803f20c0")).tolist() == [1.0, -2.5]


@pytest.mark.parametrize(
    ("datatype", "shape", "raw", "is_shape"),
    [
        pytest.param("FP32", [2], b"\0" * 4, True, id="too few bytes"),
        pytest.param("FP32", [1], b"\0" * 8, True, id="too many bytes"),
        pytest.param("FP32", [-1], b"", True, id="negative size"),
        pytest.param("FP32", [0, 2**62], b"", True, id="a size beyond reason"),
        pytest.param("FP32", [1] * 17, b"\0" * 4, True, id="too many dimensions"),
        pytest.param("FP32", [2**31 - 1, 2**31 - 1], b"", True, id="a shape of exabytes"),
        pytest.param("FP99", [1], b"\0" * 4, False, id="unknown data type"),
        pytest.param("BF16", [1], b"\0" * 4, True, id="BF16 has two bytes"),
        pytest.param("BYTES", [1], b"\xff\xff\xff\xff", True, id="an element longer than the data"),
        pytest.param("BYTES", [2], b"\0\0\0\0", True, id="fewer elements than the shape"),
        pytest.param("BYTES", [1], b"\0" * 8, True, id="more elements than the shape"),
        pytest.param("BYTES", [1], b"\0\0", True, id="half a length"),
        pytest.param("BYTES", [10**9], b"\0" * 4, True, id="a billion elements in four bytes"),
    ],
)
def test_data_that_does_not_fit_its_description_is_refused(
    datatype: str, shape: list[int], raw: bytes, is_shape: bool
) -> None:
    with pytest.raises(InvalidTensor) as refused:
        decode(datatype, shape, raw)
    assert refused.value.is_shape is is_shape


@pytest.mark.parametrize(
    ("datatype", "values"),
    [
        pytest.param("INT8", [128], id="too great"),
        pytest.param("UINT8", [-1], id="negative"),
        pytest.param("INT32", [1.5], id="a fraction"),
        pytest.param("INT32", [True], id="a truth value for a number"),
        pytest.param("BOOL", [1], id="a number for a truth value"),
        pytest.param("FP32", ["1"], id="text for a number"),
        pytest.param("FP32", [10**400], id="beyond every float"),
        pytest.param("BYTES", [1], id="a number for text"),
        pytest.param("FP32", [None], id="nothing for a number"),
    ],
)
def test_values_of_another_type_are_refused(datatype: str, values: list[Any]) -> None:
    with pytest.raises(InvalidTensor):
        from_values(datatype, [len(values)], values)


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        pytest.param({}, "name: expected the tensor's name", id="nothing"),
        pytest.param({"name": "x", "shape": "1"}, "x: shape: expected a list", id="shape is text"),
        pytest.param({"name": "x", "shape": [True]}, "x: shape: expected a list", id="a truth value as size"),
        pytest.param({"name": "x", "shape": [1]}, "x: expected datatype and data", id="no data"),
        pytest.param(
            {"name": "x", "shape": [2], "datatype": "FP32", "data": [1]}, r"x: shape \[2\] wants 2 values", id="too few"
        ),
    ],
)
def test_a_json_tensor_that_is_none_is_refused(tensor: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidTensor, match=message):
        tensor_from_json(tensor)


def test_json_data_may_be_nested_and_numbers_may_be_whole() -> None:
    name, tensor = tensor_from_json({"name": "x", "shape": [2, 2], "datatype": "FP32", "data": [[1, 2], [3, 4.5]]})
    assert (name, tensor.tolist()) == ("x", [[1, 2], [3, 4.5]])


def test_deep_nesting_is_refused_without_recursion() -> None:
    data = json.loads("[" * 900 + "]" * 900)
    with pytest.raises(InvalidTensor, match="nested more than"):
        tensor_from_json({"name": "x", "shape": [1], "datatype": "FP32", "data": data})


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


@given(
    tensor=st.fixed_dictionaries(
        {},
        optional={
            "name": st.just("x") | JSON_VALUES,
            "shape": st.lists(st.integers(-1, 4), max_size=3) | JSON_VALUES,
            "datatype": st.sampled_from([*DTYPES, "BYTES", "BF16"]) | JSON_VALUES,
            "data": st.lists(JSON_VALUES, max_size=4) | JSON_VALUES,
        },
    )
)
def test_any_json_is_a_tensor_or_refused(tensor: dict[str, Any]) -> None:
    try:
        name, _ = tensor_from_json(tensor)
    except InvalidTensor:
        return
    assert name


@given(
    datatype=st.sampled_from([*DTYPES, "BYTES", "BF16", "?"]),
    shape=st.lists(st.integers(-2, 9), max_size=4),
    raw=st.binary(),
)
def test_any_bytes_are_a_tensor_or_refused(datatype: str, shape: list[int], raw: bytes) -> None:
    try:
        tensor = decode(datatype, shape, raw)
    except InvalidTensor:
        return
    assert list(tensor.shape) == shape
