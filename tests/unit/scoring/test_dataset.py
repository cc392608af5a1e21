import json
from pathlib import Path
from typing import Any

import pytest

from assay.scoring.challenges import InvalidChallenge
from assay.scoring.dataset import read_dataset


def text_input(text: str) -> dict[str, Any]:
    return {"name": "text", "shape": [1], "datatype": "BYTES", "data": [text]}


def written(folder: Path, *lines: object) -> Path:
    path = folder / "inputs.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return path


def test_lines_are_chosen_by_the_labels_and_none_twice(tmp_path: Path) -> None:
    path = written(tmp_path, *({"inputs": [text_input(f"text {number}")]} for number in range(100)))
    chosen = [str(challenge.inputs["text"][0]) for challenge in read_dataset(path, 10, ("seed", 1))]
    again = [str(challenge.inputs["text"][0]) for challenge in read_dataset(path, 10, ("seed", 1))]
    other = [str(challenge.inputs["text"][0]) for challenge in read_dataset(path, 10, ("seed", 2))]
    assert len(set(chosen)) == 10
    assert chosen == again != other


def test_a_short_file_gives_fewer_challenges(tmp_path: Path) -> None:
    path = written(tmp_path, {"inputs": [text_input("a")]}, "", {"inputs": [text_input("b")]}, "")
    assert len(read_dataset(path, 32, ())) == 2


def test_expected_outputs_are_optional(tmp_path: Path) -> None:
    outputs = [{"name": "embedding", "shape": [1, 2], "datatype": "FP32", "data": [[0.6, 0.8]]}]
    path = written(tmp_path, {"inputs": [text_input("a")], "outputs": outputs})
    (challenge,) = read_dataset(path, 1, ())
    assert challenge.expected is not None
    assert challenge.expected["embedding"].shape == (1, 2)
    assert read_dataset(written(tmp_path, {"inputs": [text_input("a")]}), 1, ())[0].expected is None


@pytest.mark.parametrize(
    ("line", "message"),
    [
        pytest.param("{", "line 1: is no JSON", id="no JSON"),
        pytest.param("[" * 100_000, "line 1: is no JSON", id="JSON without bottom"),
        pytest.param([], "line 1: expected a JSON object with inputs", id="a list"),
        pytest.param({}, "line 1: inputs: expected a list", id="no inputs"),
        pytest.param({"inputs": []}, "line 1: inputs: expected a list", id="empty inputs"),
        pytest.param({"inputs": [1]}, r"line 1: inputs\[0\]: expected an object", id="a number as input"),
        pytest.param(
            {"inputs": [text_input("a"), text_input("b")]}, r"inputs\[1\]: text is there twice; keep one", id="twice"
        ),
        pytest.param(
            {"inputs": [{**text_input("a"), "shape": [2]}]}, r"text: shape \[2\] wants 2 values", id="another shape"
        ),
        pytest.param(
            {"inputs": [text_input("a")], "outputs": [{}]}, r"outputs\[0\]: name: expected", id="a nameless output"
        ),
    ],
)
def test_a_wrong_line_is_named_with_its_field(tmp_path: Path, line: object, message: str) -> None:
    with pytest.raises(InvalidChallenge, match=message):
        read_dataset(written(tmp_path, line), 1, ())


def test_a_file_without_lines_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidChallenge, match="is empty; expected one JSON object per line"):
        read_dataset(written(tmp_path, "", " "), 1, ())


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidChallenge, match="cannot be read"):
        read_dataset(tmp_path / "absent.jsonl", 1, ())
