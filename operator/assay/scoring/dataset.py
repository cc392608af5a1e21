"""Challenges from a file: JSON lines of KServe v2 inputs, optionally with the outputs they must get.

Owns the file's format and limits. The file is the validator's own, so whatever is wrong with it is said by line and
field, and ends the scoring.

    {"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["Hello."]}], "outputs": [...]}
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assay.scoring.challenges import Challenge, InvalidChallenge
from assay.scoring.draws import Label, shuffled
from assay.triton.tensors import InvalidTensor, Tensor, tensor_from_json

FILE_BYTES_MAX = 64 * 1024 * 1024


def read_dataset(path: Path, count: int, labels: tuple[Label, ...]) -> tuple[Challenge, ...]:
    """Up to `count` different challenges, chosen by `labels`; raises InvalidChallenge.

    A file with fewer lines gives fewer challenges: a line asked twice could be answered from memory.
    """
    try:
        size = path.stat().st_size
        if size > FILE_BYTES_MAX:
            raise InvalidChallenge(f"dataset {path.name}: {size} bytes, at most {FILE_BYTES_MAX}; shorten it")
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidChallenge(f"dataset {path}: cannot be read: {error}") from error
    numbered = [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    if not numbered:
        raise InvalidChallenge(f"dataset {path.name}: is empty; expected one JSON object per line")
    chosen = shuffled(len(numbered), *labels, "dataset")[:count]
    return tuple(_challenge(f"dataset {path.name}: line {numbered[index][0]}", numbered[index][1]) for index in chosen)


def _challenge(subject: str, line: str) -> Challenge:
    try:
        parsed = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InvalidChallenge(f"{subject}: is no JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise InvalidChallenge(f"{subject}: expected a JSON object with inputs")
    inputs, outputs = _tensors(subject, "inputs", parsed.get("inputs")), parsed.get("outputs")
    return Challenge(inputs, None if outputs is None else _tensors(subject, "outputs", outputs))


def _tensors(subject: str, field: str, described: object) -> Mapping[str, Tensor]:
    if not isinstance(described, list) or not described:
        raise InvalidChallenge(f"{subject}: {field}: expected a list of KServe v2 tensors")
    tensors: dict[str, Tensor] = {}
    for index, entry in enumerate(described):
        name, tensor = _tensor(f"{subject}: {field}[{index}]", entry)
        if name in tensors:
            raise InvalidChallenge(f"{subject}: {field}[{index}]: {name} is there twice; keep one")
        tensors[name] = tensor
    return tensors


def _tensor(subject: str, entry: Any) -> tuple[str, Tensor]:  # noqa: ANN401 - any JSON value
    if not isinstance(entry, dict):
        raise InvalidChallenge(f"{subject}: expected an object with name, shape, datatype and data")
    try:
        return tensor_from_json(entry)
    except InvalidTensor as error:
        raise InvalidChallenge(f"{subject}: {error}") from error
