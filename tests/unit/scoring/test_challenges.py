import re
from typing import Any

import numpy as np
import pytest

from assay.scoring.challenges import InvalidChallenge, draw_challenge, order_for
from assay.scoring.draws import draw, shuffled
from assay.scoring.words import WORDS
from assay.triton import TensorSpec
from assignments import assignment

TEXT = (TensorSpec("text", "BYTES", (-1,)),)
TENSOR = {"random": {"kind": "Tensor"}}


def sentence(sample: int, **parts: Any) -> str:
    tensor = draw_challenge(assignment(**parts), TEXT, sample).inputs["text"]
    assert tensor.shape == (1,)
    return str(tensor[0], "utf-8")


def test_the_drawing_is_fixed_for_ever() -> None:
    # printf 'assay.challenge/v1\\0\\1\\0\\0\\0a\\1\\0\\0\\0001' | openssl dgst -shake256 -xoflen 12
    assert draw(3, "a", 1).tolist() == [1163751500, 1462252206, 341913419]
    assert sentence(0) == (
        "Rare cool divide steal spring band tone sad rubber people rail book total switch fix male thing lose join."
    )


def test_the_words_are_fixed_for_ever() -> None:
    assert len(WORDS) == len(set(WORDS)) == 1419


def test_labels_do_not_run_together() -> None:
    assert draw(4, "ab", "c").tolist() != draw(4, "a", "bc").tolist()


@pytest.mark.parametrize("sample", range(50))
def test_a_sentence_has_8_to_24_words(sample: int) -> None:
    assert re.fullmatch(r"[A-Z][a-z]*( [a-z]+){7,23}\.", sentence(sample))


def test_sentences_differ_by_sample_seed_epoch_subnet_and_validator() -> None:
    others: list[dict[str, Any]] = [
        {},
        {"seed": "0" * 64},
        {"epoch": 41},
        {"subnet": {"namespace": "demo", "name": "embeddings", "uid": "another"}},
        {"validator": {"namespace": "val-b", "name": "val-b", "uid": "another"}},
    ]
    drawn = [sentence(sample, **parts) for parts in others for sample in range(40)]
    assert len(set(drawn)) == len(drawn)


def test_every_miner_gets_every_challenge_in_an_order_of_its_own() -> None:
    orders = [order_for(assignment(), uid, 32) for uid in range(20)]
    assert all(sorted(order) == list(range(32)) for order in orders)
    assert len({tuple(order) for order in orders}) == 20
    assert orders == [order_for(assignment(), uid, 32) for uid in range(20)]


def test_shuffling_favours_no_place() -> None:
    first = [shuffled(8, "trial", trial)[0] for trial in range(4000)]
    assert all(400 < first.count(place) < 600 for place in range(8))


@pytest.mark.parametrize("datatype", ["FP16", "FP32", "FP64"])
def test_reals_are_within_minus_one_and_one(datatype: str) -> None:
    values = drawn(TensorSpec("x", datatype, (1000,)))
    assert -1 <= values.min() < -0.9
    assert 0.9 < values.max() <= 1


@pytest.mark.parametrize("datatype", ["INT8", "UINT8", "INT32", "UINT64"])
def test_whole_numbers_fit_every_type(datatype: str) -> None:
    values = drawn(TensorSpec("x", datatype, (1000,)))
    assert (values.min(), values.max()) == (0, 127)


def test_truth_values_are_both() -> None:
    values = drawn(TensorSpec("x", "BOOL", (100,)))
    assert values.dtype == np.bool_
    assert 20 < values.sum() < 80


def test_free_dimensions_agree_between_inputs() -> None:
    specs = (TensorSpec("ids", "INT64", (-1, -1)), TensorSpec("mask", "INT64", (-1, -1)))
    for sample in range(10):
        inputs = draw_challenge(assignment(challenge=TENSOR), specs, sample).inputs
        assert inputs["ids"].shape == inputs["mask"].shape
        assert inputs["ids"].shape[0] == 1
        assert 4 <= inputs["ids"].shape[1] <= 16
        assert inputs["ids"].tolist() != inputs["mask"].tolist()


def test_a_text_input_of_fixed_size_is_filled() -> None:
    texts = draw_challenge(assignment(), (TensorSpec("text", "BYTES", (-1, 3)),), 0).inputs["text"]
    assert texts.shape == (1, 3)
    assert len(set(texts.reshape(-1).tolist())) == 3


@pytest.mark.parametrize(
    ("specs", "challenge", "message"),
    [
        pytest.param((), {}, "has no inputs", id="a model without inputs"),
        pytest.param((TensorSpec("x", "FP32", (1,)),), {}, "input x: Sentences needs BYTES", id="sentences as numbers"),
        pytest.param((TensorSpec("x", "BF16", (1,)),), TENSOR, "input x: BF16 cannot be drawn", id="BF16"),
        pytest.param((TensorSpec("x", "FP32", (2**12, 2**12)),), TENSOR, "input x: 16777216 elements", id="too large"),
    ],
)
def test_what_cannot_be_drawn_is_said_with_the_remedy(
    specs: tuple[TensorSpec, ...], challenge: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidChallenge, match=message):
        draw_challenge(assignment(challenge=challenge), specs, 0)


def drawn(spec: TensorSpec) -> np.ndarray[Any, Any]:
    return draw_challenge(assignment(challenge=TENSOR), (spec,), 0).inputs["x"]
