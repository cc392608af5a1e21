"""Tensors as KServe v2 carries them: raw little-endian bytes, typed fields, or JSON.

Owns the table of data types and the strict decoding. Never trusts a size: the bytes, the shape and the data type must
agree exactly before an array is made. Arrays of BYTES have dtype object and hold `bytes`; BF16, which numpy lacks,
becomes float32 without loss.
"""

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Tensor: TypeAlias = npt.NDArray[Any]

BYTES, BF16 = "BYTES", "BF16"
DTYPES: Mapping[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    "INT8": np.dtype("<i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "UINT8": np.dtype("<u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
}
DATATYPES = frozenset({*DTYPES, BYTES, BF16})
DIMENSIONS_MAX, DIMENSION_MAX = 16, 2**31 - 1


class InvalidTensor(ValueError):
    """Data, shape and data type do not agree; `is_shape` tells shape from type."""

    def __init__(self, message: str, *, is_shape: bool) -> None:
        super().__init__(message)
        self.is_shape = is_shape


@dataclass(frozen=True)
class TensorSpec:
    """An input or output in a model's metadata; -1 in `shape` is a free dimension."""

    name: str
    datatype: str
    shape: tuple[int, ...]


def datatype_of(tensor: Tensor) -> str:
    """The KServe data type of an array; raises InvalidTensor for a dtype that has none."""
    if tensor.dtype == np.object_:
        return BYTES
    for name, dtype in DTYPES.items():
        if tensor.dtype == dtype:
            return name
    raise InvalidTensor(f"dtype {tensor.dtype} has no KServe data type", is_shape=False)


def encode(tensor: Tensor) -> bytes:
    """The raw bytes of an array, row-major; BYTES elements carry their length in 4 bytes."""
    if tensor.dtype == np.object_:
        return b"".join(struct.pack("<I", len(element)) + element for element in tensor.reshape(-1))
    return tensor.tobytes()


def decode(datatype: str, shape: Sequence[int], raw: bytes | memoryview) -> Tensor:
    """The array in `raw`; raises InvalidTensor unless it holds exactly `shape` elements of `datatype`."""
    count = elements_of(shape)
    if datatype == BYTES:
        return _filled(_split(raw, count), shape)
    if datatype == BF16:
        _check_size(datatype, shape, count * 2, len(raw))
        return (np.frombuffer(raw, "<u2").astype(np.uint32) << np.uint32(16)).view(np.float32).reshape(shape)
    dtype = _dtype_of(datatype)
    _check_size(datatype, shape, count * dtype.itemsize, len(raw))
    return np.frombuffer(raw, dtype).reshape(shape)


def from_values(datatype: str, shape: Sequence[int], values: Sequence[Any]) -> Tensor:
    """The array of `values` in row-major order; raises InvalidTensor unless each of them is of `datatype`.

    Text stands for its UTF-8 bytes. Numbers must fit: no wrapping, no truth values for numbers or the reverse.
    """
    count = elements_of(shape)
    if len(values) != count:
        raise InvalidTensor(f"shape {list(shape)} wants {count} values, found {len(values)}", is_shape=True)
    if datatype == BYTES:
        return _filled([_as_bytes(value) for value in values], shape)
    dtype = np.dtype("<f4") if datatype == BF16 else _dtype_of(datatype)
    kinds = {"b": (bool,), "i": (int,), "u": (int,), "f": (int, float)}[dtype.kind]
    if not all(isinstance(value, kinds) and (dtype.kind == "b" or not isinstance(value, bool)) for value in values):
        raise InvalidTensor(f"data type {datatype} does not hold every value", is_shape=False)
    try:
        with np.errstate(over="ignore"):
            return np.array(values, dtype).reshape(shape)
    except (OverflowError, ValueError) as error:
        raise InvalidTensor(f"data type {datatype} does not hold every value", is_shape=False) from error


def tensor_from_json(tensor: Mapping[str, Any]) -> tuple[str, Tensor]:
    """Name and array of a KServe v2 JSON tensor `{name, shape, datatype, data}`; raises InvalidTensor.

    `data` may be flat or nested as the shape is.
    """
    name, shape, datatype, data = (tensor.get(key) for key in ("name", "shape", "datatype", "data"))
    if not isinstance(name, str) or not name:
        raise InvalidTensor("name: expected the tensor's name", is_shape=False)
    if not isinstance(shape, list) or not all(type(size) is int for size in shape):
        raise InvalidTensor(f"{name}: shape: expected a list of whole numbers", is_shape=True)
    if not isinstance(datatype, str) or not isinstance(data, list):
        raise InvalidTensor(f"{name}: expected datatype and data", is_shape=False)
    try:
        return name, from_values(datatype, shape, _flat(data))
    except InvalidTensor as error:
        raise InvalidTensor(f"{name}: {error}", is_shape=error.is_shape) from error


def elements_of(shape: Sequence[int]) -> int:
    """How many elements `shape` holds; raises InvalidTensor for negative, huge or too many dimensions."""
    if len(shape) > DIMENSIONS_MAX or not all(0 <= size <= DIMENSION_MAX for size in shape):
        raise InvalidTensor(
            f"shape {list(shape)[:DIMENSIONS_MAX]}: expected up to {DIMENSIONS_MAX} sizes in 0..{DIMENSION_MAX}",
            is_shape=True,
        )
    return math.prod(shape)


def wire_bytes(tensors: Mapping[str, Tensor]) -> int:
    """About how many bytes the tensors take on the wire."""
    return sum(
        sum(4 + len(element) for element in tensor.reshape(-1)) if tensor.dtype == np.object_ else tensor.nbytes
        for tensor in tensors.values()
    )


def _dtype_of(datatype: str) -> np.dtype[Any]:
    dtype = DTYPES.get(datatype)
    if dtype is None:
        raise InvalidTensor(f"data type {datatype[:16]!r} is unknown", is_shape=False)
    return dtype


def _check_size(datatype: str, shape: Sequence[int], wanted: int, found: int) -> None:
    if wanted != found:
        raise InvalidTensor(f"{datatype} {list(shape)} wants {wanted} bytes, found {found}", is_shape=True)


def _split(raw: bytes | memoryview, count: int) -> list[bytes]:
    elements: list[bytes] = []
    offset = 0
    while offset + 4 <= len(raw) and len(elements) < count:
        end = offset + 4 + int.from_bytes(raw[offset : offset + 4], "little")
        if end > len(raw):
            break
        elements.append(bytes(raw[offset + 4 : end]))
        offset = end
    if len(elements) != count or offset != len(raw):
        raise InvalidTensor(f"BYTES: the data does not hold exactly {count} elements", is_shape=True)
    return elements


def _filled(elements: Sequence[bytes], shape: Sequence[int]) -> Tensor:
    # Assigned one by one: numpy would turn a list of equal-length bytes into a fixed-width string array.
    tensor = np.empty(len(elements), np.object_)
    for index, element in enumerate(elements):
        tensor[index] = element
    return tensor.reshape(shape)


def _as_bytes(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    raise InvalidTensor("data type BYTES holds text only", is_shape=False)


def _flat(data: list[Any]) -> list[Any]:
    """Unnest without recursion: the nesting is the sender's choice."""
    for _ in range(DIMENSIONS_MAX):
        if not any(isinstance(item, list) for item in data):
            return data
        data = [inner for item in data for inner in (item if isinstance(item, list) else [item])]
    raise InvalidTensor(f"data is nested more than {DIMENSIONS_MAX} deep", is_shape=True)
