"""Asking servers that the operator does not run whether they serve their model.

Owns when and how often a server is asked, and which addresses are never asked. Invariants: asking never makes its
caller wait, however a server behaves; a question ends within its deadline; an answer is told for what was asked and not
for what the spec says by now; loopback and the cluster's own control plane are refused before a packet is sent.
"""

import asyncio
import ipaddress
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from assay.triton.address import InvalidAddress, IPAddress, parse_address, resolve
from assay.triton.client import open_client
from assay.triton.connection import Connection
from assay.triton.failures import InferenceFailure, Reason

Outcome: TypeAlias = Literal["Ready", "ModelUnavailable", "Unreachable", "ProtocolError", "Refused"]
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

RESPONSE_BYTES_MAX: Final = 256 * 1024
"""More than any model's metadata takes."""

FORGOTTEN_AFTER_S: Final = 120.0
"""How long an answer is kept that nobody asks for any more."""

_OUTCOMES: Final[dict[Reason, Outcome]] = {
    Reason.TIMEOUT: "Unreachable",
    Reason.UNREACHABLE: "Unreachable",
    Reason.MODEL_UNAVAILABLE: "ModelUnavailable",
}


@dataclass(frozen=True)
class Target:
    """What is asked: one version of one model at one URL."""

    url: str
    model: str
    version: str


@dataclass(frozen=True)
class Result:
    """One answer, or the lack of one. `message` is constant as long as the server's trouble is."""

    outcome: Outcome
    message: str = ""


@dataclass(frozen=True)
class Answer:
    """The latest result for a target, None before the first, and whether a new one is under way."""

    result: Result | None
    is_pending: bool


@dataclass(frozen=True)
class AddressPolicy:
    """Addresses that are never asked, besides those that no server may have (link-local, multicast, metadata).

    Attributes:
        allow_loopback: whether a server may be on the operator's own machine; for tests and development.
        refused: further networks, such as the API server's address.
    """

    allow_loopback: bool = False
    refused: tuple[Network, ...] = ()

    @classmethod
    def refusing(cls, hosts: Sequence[str]) -> "AddressPolicy":
        """A policy that also refuses these addresses or networks; names among them are passed over."""
        return cls(refused=tuple(network for host in hosts if (network := _network(host)) is not None))

    def objection(self, address: IPAddress) -> str | None:
        """Why a server at this address is not asked; None if it may be."""
        inner = (address.ipv4_mapped or address) if isinstance(address, ipaddress.IPv6Address) else address
        if inner.is_loopback and not self.allow_loopback:
            return f"{address} is a loopback address: it leads back into the operator; give the server's own address"
        if any(inner in network for network in self.refused):
            return f"{address} belongs to the cluster's control plane; give the server's own address"
        return None


@dataclass
class _Record:
    target: Target
    used_at_s: float
    result: Result | None = None
    asked_at_s: float | None = None
    task: asyncio.Task[None] | None = None

    @property
    def is_pending(self) -> bool:
        return self.task is not None and not self.task.done()


class Prober:
    """Asks in the background and remembers the latest answers. Belongs to one event loop.

    Args:
        policy: which addresses are never asked.
        timeout_s: total deadline of one question.
        period_s: how old an answer may be before the server is asked again.
        concurrency: questions under way at once.
    """

    def __init__(
        self,
        policy: AddressPolicy | None = None,
        *,
        timeout_s: float = 3.0,
        period_s: float = 9.5,
        concurrency: int = 64,
    ) -> None:
        self._policy = policy or AddressPolicy()
        self._timeout_s = timeout_s
        self._period_s = period_s
        self._slots = asyncio.Semaphore(concurrency)
        self._records: dict[Hashable, _Record] = {}

    def latest(self, key: Hashable, target: Target) -> Answer:
        """What is known of `target`, without waiting; starts to ask if that is old. `key` names who wants to know."""
        now = asyncio.get_running_loop().time()
        self._forget_unused(now)
        record = self._records.get(key)
        if record is None or record.target != target:
            if record is not None and record.task is not None:
                record.task.cancel()
            record = self._records[key] = _Record(target, now)
        record.used_at_s = now
        is_old = record.asked_at_s is None or now - record.asked_at_s >= self._period_s
        if is_old and not record.is_pending:
            record.asked_at_s = now
            record.task = asyncio.create_task(self._ask(record), name=f"probe {target.url}")
        return Answer(record.result, record.is_pending)

    async def _ask(self, record: _Record) -> None:
        async with self._slots:
            record.result = await probe(record.target, self._policy, self._timeout_s)

    def _forget_unused(self, now: float) -> None:
        unused = [key for key, it in self._records.items() if now - it.used_at_s > FORGOTTEN_AFTER_S]
        for key in unused:
            del self._records[key]


async def probe(target: Target, policy: AddressPolicy, timeout_s: float) -> Result:
    """Ask once: is the address allowed, does the server know the model, does it say that the model is ready?"""
    try:
        async with asyncio.timeout(timeout_s):
            return await _questions(target, policy, timeout_s)
    except TimeoutError:
        return Result("Unreachable", f"{target.url}: no answer within {timeout_s:g} s")
    except InvalidAddress as problem:
        return Result("Refused", str(problem))
    except InferenceFailure as failure:
        return Result(_OUTCOMES.get(failure.reason, "ProtocolError"), _words(target, failure))


async def _questions(target: Target, policy: AddressPolicy, timeout_s: float) -> Result:
    objection = policy.objection(await resolve(parse_address(target.url)))
    if objection is not None:
        return Result("Refused", objection)
    connection = Connection(target.url, target.model, target.version, timeout_s, RESPONSE_BYTES_MAX)
    async with open_client(connection) as client:
        # Readiness first: of a model that was unloaded Triton says UNAVAILABLE to any other question, as of itself.
        if not await client.model_ready():
            named = f"model {target.model} version {target.version}"
            return Result("ModelUnavailable", f"{target.url}: the server answers, but {named} is not ready in it")
        await client.metadata()
    return Result("Ready")


def _words(target: Target, failure: InferenceFailure) -> str:
    """A message that does not change from try to try.

    What the transport says does: it holds ports, counters and timings. The reason is enough to act on.
    """
    named = f"model {target.model} version {target.version}"
    match failure.reason:
        case Reason.TIMEOUT | Reason.UNREACHABLE:
            return f"{target.url}: does not answer; check the address, and that the server runs"
        case Reason.MODEL_UNAVAILABLE:
            return f"{target.url}: the server does not have {named}"
        case _:
            return f"{target.url}: what answers is no KServe v2 server with {named} ({failure.reason})"


def _network(host: str) -> Network | None:
    try:
        return ipaddress.ip_network(host)
    except ValueError:
        return None
