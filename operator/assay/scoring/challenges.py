"""What miners are asked: sentences and tensors drawn from the assignment's seed.

Owns the drawing. The challenges of one validator and epoch are the same for all miners, so that its reference answers
each once, and come to each miner in another order. Invariant: they follow from seed, subnet, epoch, validator and
sample number alone, so a report can be replayed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from assay.api import Assignment
from assay.scoring.draws import Label, draw, shuffled
from assay.scoring.words import WORDS
from assay.triton.tensors import BYTES, DTYPES, Tensor, TensorSpec, elements_of

SENTENCE_WORDS_MIN, SENTENCE_WORDS_MAX = 8, 24
FREE_DIMENSION_MIN, FREE_DIMENSION_MAX = 4, 16
WHOLE_NUMBER_MAX = 127
ELEMENTS_MAX = 4 * 1024 * 1024


class InvalidChallenge(ValueError):
    """Challenges cannot be made as the policy asks; the message names the input or line and the remedy."""


@dataclass(frozen=True)
class Challenge:
    """One request, and the answer it must get once that is known."""

    inputs: Mapping[str, Tensor]
    expected: Mapping[str, Tensor] | None = None


def identity(assignment: Assignment) -> tuple[Label, ...]:
    """The labels that all draws of one validator in one epoch share."""
    return (assignment.seed, assignment.subnet.uid, assignment.epoch, assignment.validator.uid)


def order_for(assignment: Assignment, miner_uid: int, count: int) -> list[int]:
    """The order in which one miner gets the challenges 0..count-1."""
    return shuffled(count, *identity(assignment), "order", miner_uid)


def draw_challenge(assignment: Assignment, inputs: Sequence[TensorSpec], sample: int) -> Challenge:
    """Challenge number `sample` for a model with these `inputs`; raises InvalidChallenge.

    Sentences: text inputs of 8 to 24 words, and no other inputs. Tensor: uniform reals in [-1, 1), whole numbers in
    0..127, truth values, and sentences where the model takes text. Of free dimensions the first is 1, and the others
    are drawn from 4..16 once per position, so that inputs which belong together agree.
    """
    random = assignment.challenge.random
    if random is None:
        raise InvalidChallenge("spec.challenge.random is not set; nothing can be drawn")
    if not inputs:
        raise InvalidChallenge("the reference's model has no inputs; name a model that takes some")
    labels = (*identity(assignment), "sample", sample)
    drawn: dict[str, Tensor] = {}
    for spec in inputs:
        if random.kind == "Sentences" and spec.datatype != BYTES:
            raise InvalidChallenge(
                f"input {spec.name}: Sentences needs BYTES inputs, found {spec.datatype}; use Tensor or a dataset"
            )
        drawn[spec.name] = _draw_input(spec, labels)
    return Challenge(drawn)


def _draw_input(spec: TensorSpec, labels: tuple[Label, ...]) -> Tensor:
    shape = tuple(_length(size, axis, labels) for axis, size in enumerate(spec.shape))
    count = elements_of(shape)
    if count > ELEMENTS_MAX:
        raise InvalidChallenge(f"input {spec.name}: {count} elements, at most {ELEMENTS_MAX} are drawn; use a dataset")
    if spec.datatype == BYTES:
        tensor = np.empty(count, np.object_)
        for element in range(count):
            tensor[element] = _sentence(*labels, spec.name, element).encode()
        return tensor.reshape(shape)
    dtype = DTYPES.get(spec.datatype)
    if dtype is None:
        raise InvalidChallenge(f"input {spec.name}: {spec.datatype} cannot be drawn; use a dataset")
    numbers = draw(count, *labels, spec.name).reshape(shape)
    if dtype.kind == "f":
        return (numbers / 2.0**31 - 1.0).astype(dtype)
    return (numbers % (2 if dtype.kind == "b" else WHOLE_NUMBER_MAX + 1)).astype(dtype)


def _length(size: int, axis: int, labels: tuple[Label, ...]) -> int:
    if size >= 0:
        return size
    if axis == 0:
        return 1
    span = FREE_DIMENSION_MAX - FREE_DIMENSION_MIN + 1
    return FREE_DIMENSION_MIN + int(draw(1, *labels, "axis", axis)[0]) % span


def _sentence(*labels: Label) -> str:
    numbers = draw(1 + SENTENCE_WORDS_MAX, *labels).tolist()
    length = SENTENCE_WORDS_MIN + numbers[0] % (SENTENCE_WORDS_MAX - SENTENCE_WORDS_MIN + 1)
    words = [WORDS[number % len(WORDS)] for number in numbers[1 : 1 + length]]
    return f"{' '.join(words).capitalize()}."
