"""What the answers are held against: the validator's own replica, or the outputs in its dataset.

Owns the making of a complete `Exam`. Never asks a miner. Retries whatever fails until its time is over; then, and for
whatever makes the reference useless, raises `NoReference`, from which the report takes its reason.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from assay.api import AssignedReference, Assignment
from assay.scoring.challenges import Challenge, InvalidChallenge, draw_challenge, identity
from assay.scoring.dataset import read_dataset
from assay.triton import Client, Connection, InferenceFailure, InvalidAddress, Tensor, open_client, wire_bytes
from assay.verification import InvalidReference, Metric, check_reference

T = TypeVar("T")

log = logging.getLogger(__name__)

RESPONSE_BYTES_MAX = 64 * 1024 * 1024
PAUSE_S, PAUSE_S_MAX = 0.25, 2.0


class Cause(StrEnum):
    """Why there is nothing to hold answers against; the report's `failure.reason`."""

    REFERENCE_UNAVAILABLE = "ReferenceUnavailable"
    REFERENCE_INVALID = "ReferenceInvalid"
    CHALLENGE_INVALID = "ChallengeInvalid"


class NoReference(Exception):
    """No exam can be held; the message says what was tried and what to do."""

    def __init__(self, cause: Cause, message: str) -> None:
        super().__init__(message)
        self.cause = cause


@dataclass(frozen=True)
class Exam:
    """What every miner is asked. Each challenge has its expected outputs; `warm_up` is asked first and not counted.

    `answer_bytes_max` is about the size of the largest expected answer.
    """

    challenges: tuple[Challenge, ...]
    warm_up: Mapping[str, Tensor]
    answer_bytes_max: int


async def prepare(assignment: Assignment, until_s: float) -> Exam:
    """The exam of this assignment, ready by `until_s` (of the event loop's clock); raises NoReference."""
    try:
        async with asyncio.timeout_at(until_s):
            return await _prepare(assignment, until_s)
    except TimeoutError:
        raise NoReference(
            Cause.REFERENCE_UNAVAILABLE,
            "the reference is too slow to be asked every challenge; give it more resources, or ask fewer samples",
        ) from None
    except InvalidChallenge as error:
        raise NoReference(Cause.CHALLENGE_INVALID, str(error)) from error
    except InvalidReference as error:
        raise NoReference(Cause.REFERENCE_INVALID, str(error)) from error
    except InvalidAddress as error:
        raise NoReference(Cause.REFERENCE_UNAVAILABLE, f"the reference's address cannot be used: {error}") from error


async def _prepare(assignment: Assignment, until_s: float) -> Exam:
    count, dataset = assignment.challenge.samples_per_miner, assignment.challenge.dataset
    given = read_dataset(Path(dataset.path), count, identity(assignment)) if dataset else ()
    if given and all(challenge.expected is not None for challenge in given):
        return _exam(assignment, given, given[0].inputs)
    if assignment.reference is None:
        raise InvalidChallenge("there is no reference, and no expected outputs in every line; give one of them")
    connection = _connection(assignment, assignment.reference)
    async with open_client(connection) as client:
        if given:
            return _exam(assignment, await _answered(client, assignment, given, until_s), given[0].inputs)
        inputs = (await _insist(client.metadata, until_s)).inputs
        # One more than is judged: a warm-up with a judged challenge would give a cheat its answer's time.
        *drawn, spare = (draw_challenge(assignment, inputs, sample) for sample in range(count + 1))
        return _exam(assignment, await _answered(client, assignment, drawn, until_s), spare.inputs)


def _exam(assignment: Assignment, challenges: Sequence[Challenge], warm_up: Mapping[str, Tensor]) -> Exam:
    for challenge in challenges:
        check_reference(Metric(assignment.scoring.metric), challenge.expected or {})
    answer_bytes_max = max(wire_bytes(challenge.expected or {}) for challenge in challenges)
    return Exam(tuple(challenges), warm_up, answer_bytes_max)


async def _answered(
    client: Client, assignment: Assignment, challenges: Sequence[Challenge], until_s: float
) -> Sequence[Challenge]:
    """The challenges with the reference's answers."""
    slots = asyncio.Semaphore(assignment.challenge.concurrency_per_miner)

    async def answered(challenge: Challenge) -> Challenge:
        if challenge.expected is not None:
            return challenge
        async with slots:
            return replace(challenge, expected=await _insist(lambda: client.infer(challenge.inputs), until_s))

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(answered(challenge)) for challenge in challenges]
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from failed
    return [task.result() for task in tasks]


async def _insist(ask: Callable[[], Awaitable[T]], until_s: float) -> T:
    """Ask until there is an answer, or no time left to ask again."""
    pause_s = PAUSE_S
    while True:
        try:
            return await ask()
        except InferenceFailure as failure:
            if asyncio.get_running_loop().time() + pause_s >= until_s:
                raise NoReference(
                    Cause.REFERENCE_UNAVAILABLE,
                    f"the reference did not answer ({failure}); see whether its ModelDeployment or endpoint is ready",
                ) from failure
            if pause_s == PAUSE_S:
                log.warning("reference did not answer", extra={"reason": failure.reason, "detail": str(failure)})
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, PAUSE_S_MAX)


def _connection(assignment: Assignment, reference: AssignedReference) -> Connection:
    return Connection(
        url=reference.url,
        model=assignment.model.name,
        version=assignment.model.version,
        timeout_s=assignment.challenge.timeout_ms / 1000,
        response_bytes_max=RESPONSE_BYTES_MAX,
        ca_pem=reference.ca,
        token=read_token(reference.token_file),
    )


def read_token(path: str | None) -> str | None:
    """The bearer token in the file at `path`; raises InvalidAddress if there is none to read."""
    if path is None:
        return None
    try:
        token = Path(path).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidAddress(f"token file {path}: cannot be read: {error}") from error
    if not token or not token.isprintable() or " " in token:
        raise InvalidAddress(f"token file {path}: holds no bearer token; expected one line of printable characters")
    return token
