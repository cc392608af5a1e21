"""One miner's exam: every challenge asked, every answer judged.

Owns what happens between one miner and the scorer. Invariant: whatever this miner does, the result is its own
`Record` and nothing else; no exception leaves `examine` but cancellation, and the record is right at any moment, so
the exam can be cut off.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from assay.api import AssignedMiner, Assignment
from assay.scoring.challenges import Challenge, order_for
from assay.scoring.lanes import Lanes, Standing
from assay.scoring.reference import Exam, read_token
from assay.triton import Client, Connection, InferenceFailure, InvalidAddress, open_client
from assay.verification import FAILED, Metric, Rule, Sample, Verdict, compare, quality_of

log = logging.getLogger(__name__)

NO_ADDRESS, GIVEN_UP = "NoAddress", "GivenUp"
WARM_UP_TIMEOUT_S_MAX = 1.0
RESPONSE_BYTES_FREE, RESPONSE_BYTES_FACTOR = 64 * 1024, 4


@dataclass
class Record:
    """What is known of one miner's answers so far."""

    miner: AssignedMiner
    samples: list[Sample] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)

    def judged(self, quality: float, latency_us: int) -> None:
        """Note an answer that could be compared."""
        self.samples.append(Sample(quality, latency_us))

    def failed(self, reason: str, count: int = 1) -> None:
        """Note samples without a usable answer."""
        self.samples += [FAILED] * count
        self.reasons[reason] += count


@dataclass(frozen=True)
class Examiner:
    """Asks miners, each on its own, within the `lanes` that they share."""

    assignment: Assignment
    exam: Exam
    rule: Rule
    lanes: Lanes

    async def examine(self, record: Record) -> None:
        """Ask `record.miner` every challenge and note how it went."""
        count = len(self.exam.challenges)
        if record.miner.url is None:
            record.failed(NO_ADDRESS, count)
            return
        try:
            async with self.lanes.door, open_client(self._connection(record.miner)) as client:
                await self._question(client, record)
        except InvalidAddress as error:
            log.warning("miner cannot be asked", extra={"miner": record.miner.uid, "detail": str(error)})
            record.failed(NO_ADDRESS, count - len(record.samples))
        except Exception:
            # A defect of the scorer, met while it dealt with this miner: the others' exams must go on.
            log.exception("exam broke off", extra={"miner": record.miner.uid})

    async def _question(self, client: Client, record: Record) -> None:
        standing = Standing(len(self.exam.challenges))
        await self._warm_up(client, standing)
        order = iter(order_for(self.assignment, record.miner.uid, len(self.exam.challenges)))
        async with asyncio.TaskGroup() as group:
            for _ in range(self.assignment.challenge.concurrency_per_miner):
                group.create_task(self._work_through(client, record, standing, order))

    async def _warm_up(self, client: Client, standing: Standing) -> None:
        """One request that is not counted: it opens the connection, and tells who answers from who may not."""
        timeout_s = min(self.assignment.challenge.timeout_ms / 1000, WARM_UP_TIMEOUT_S_MAX)
        async with self.lanes.slot(standing):
            try:
                await client.infer(self.exam.warm_up, timeout_s)
            except InferenceFailure as failure:
                standing.learn(failure.reason)
            else:
                standing.learn(None)

    async def _work_through(self, client: Client, record: Record, standing: Standing, order: Iterator[int]) -> None:
        for index in order:
            await asyncio.sleep(standing.pause_s)
            async with self.lanes.slot(standing):
                if not standing.given_up:
                    await self._ask(client, record, standing, self.exam.challenges[index])
                    continue
            # Those that the other workers of this miner hold are theirs to note.
            record.failed(GIVEN_UP, 1 + sum(1 for _ in order))

    async def _ask(self, client: Client, record: Record, standing: Standing, challenge: Challenge) -> None:
        begun = time.perf_counter_ns()
        try:
            answer = await client.infer(challenge.inputs)
        except InferenceFailure as failure:
            standing.learn(failure.reason)
            record.failed(failure.reason)
            return
        latency_us = (time.perf_counter_ns() - begun) // 1000
        standing.learn(None)
        verdict: Verdict = compare(Metric(self.assignment.scoring.metric), challenge.expected or {}, answer)
        if verdict.flaw is not None:
            record.failed(verdict.flaw)
        else:
            record.judged(quality_of(verdict.distance, self.rule.tolerance), latency_us)

    def _connection(self, miner: AssignedMiner) -> Connection:
        return Connection(
            url=miner.url or "",
            model=self.assignment.model.name,
            version=self.assignment.model.version,
            timeout_s=self.assignment.challenge.timeout_ms / 1000,
            # An honest answer is as large as the reference's; the rest is for another server's headers and encoding.
            response_bytes_max=RESPONSE_BYTES_FREE + RESPONSE_BYTES_FACTOR * self.exam.answer_bytes_max,
            ca_pem=miner.ca,
            token=read_token(miner.token_file),
        )
