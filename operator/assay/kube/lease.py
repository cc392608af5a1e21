"""Who leads: one process at a time, by a Lease, with a number for every term.

Owns the election, on top of `kubernetes.aio.leaderelection`. What the library leaves open is closed here, each with
its test: it never counts `leaseTransitions`, so there was no number to fence writes with; an error that is no
`ApiException` left the leading task running without a lease; its calls may outlast the lease; it gives nothing back
when it stops.

Invariants: the leading task never outlives the leadership that started it by more than its own clean-up; the
fencing number grows with every term, also when the same identity leads again; a leader that cannot renew stops
leading before the lease expires for others.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import aiohttp
from kubernetes.aio.client import ApiClient, ApiException, Configuration, V1Lease, V1LeaseSpec, V1ObjectMeta
from kubernetes.aio.leaderelection.electionconfig import Config
from kubernetes.aio.leaderelection.leaderelection import LeaderElection
from kubernetes.aio.leaderelection.leaderelectionrecord import LeaderElectionRecord
from kubernetes.aio.leaderelection.resourcelock.leaselock import LeaseLock

log = logging.getLogger(__name__)

_CALL_TIMEOUT_S = 1.0
# Everything that a call may end with instead of an answer; ValueError is an answer that does not parse.
_TRANSPORT = (aiohttp.ClientError, OSError, TimeoutError, ValueError)

_STOP_S = 10.0


class StuckError(Exception):
    """The leading task does not stop though its leadership has ended: only the end of the process makes it safe."""


class IdentityTakenError(Exception):
    """Another process took the lease under the same identity. Both would depose each other for ever."""


Lead = Callable[[int], Awaitable[None]]
"""What to do while leading; its argument is the fencing number of this term."""


class _Lock(LeaseLock):
    """A Lease whose terms are counted, and whose calls end in time, as a success or as a failed try."""

    def __init__(self, name: str, namespace: str, identity: str, api: ApiClient) -> None:
        super().__init__(name, namespace, identity, api)
        self.term: int | None = None  # the fencing number, once this process has held the lease
        self._next_term = 0
        self.renewed_at_s = 0.0
        self.usurped = False
        self.by_namesake = False
        self._last_complaint = ""

    async def get(self, name: str, namespace: str) -> Any:  # noqa: ANN401 - the library's own tagged tuple
        try:
            async with asyncio.timeout(_CALL_TIMEOUT_S):
                found, record = await super().get(name, namespace)
        except _TRANSPORT as error:
            self._complain(error)
            return False, ApiException(status=0, reason=str(error) or type(error).__name__)
        if found and self.term is not None and self._transitions() != self.term:
            # Somebody began a term of its own, possibly under our name: what we hold is not ours any more.
            self.usurped = True
            self.by_namesake = self._holder() == self.identity
            return False, ApiException(status=0, reason="the lease has passed to another term")
        return found, record

    async def create(self, name: str, namespace: str, election_record: LeaderElectionRecord) -> bool:
        """Create the lease. The library's own method sends an argument that its API refuses, and so never succeeds."""
        return await self._try(self._create(name, namespace, election_record))

    async def _create(self, name: str, namespace: str, record: LeaderElectionRecord) -> bool:
        lease = V1Lease(metadata=V1ObjectMeta(name=name), spec=self.update_lease(record))
        try:
            await self.api_instance.create_namespaced_lease(namespace, lease)
        except ApiException as error:
            self._complain(error)
            return False
        return True

    async def update(self, name: str, namespace: str, updated_record: LeaderElectionRecord) -> bool:
        return await self._try(super().update(name, namespace, updated_record))

    async def _try(self, call: Awaitable[bool]) -> bool:
        # The time before the call counts: the server may have stored the renewal at any moment since.
        asked_at_s = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(_CALL_TIMEOUT_S):
                done = await call
        except _TRANSPORT as error:
            self._complain(error)
            return False
        if done:
            self.renewed_at_s = asked_at_s
            self._last_complaint = ""
            self.term = self._next_term
        return done

    def update_lease(
        self, leader_election_record: LeaderElectionRecord, current_spec: V1LeaseSpec | None = None
    ) -> V1LeaseSpec:
        """The lease to write: times in UTC (the library writes local time), and the term counted."""
        before = (current_spec.lease_transitions or 0) if current_spec else 0
        spec: V1LeaseSpec = super().update_lease(leader_election_record, current_spec)
        now = datetime.now(UTC)
        spec.renew_time = now
        if self.term is None:
            spec.acquire_time = now
            before += 1
        spec.lease_transitions = self._next_term = before
        return spec

    async def release(self) -> None:
        """Give the lease back, if it is still ours, so that others need not wait for it to expire."""
        if self.term is None or self.usurped:
            return
        try:
            async with asyncio.timeout(_CALL_TIMEOUT_S):
                lease = await self.api_instance.read_namespaced_lease(self.name, self.namespace)
                spec = lease.spec or V1LeaseSpec()
                if spec.holder_identity == self.identity and spec.lease_transitions == self.term:
                    spec.holder_identity = None
                    await self.api_instance.replace_namespaced_lease(self.name, self.namespace, lease)
        except (ApiException, *_TRANSPORT) as error:
            log.warning("lease %s/%s not given back, it will expire: %s", self.namespace, self.name, error)

    def _complain(self, error: Exception) -> None:
        """Log a failed try, once until another reason or a success comes between."""
        complaint = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        if complaint != self._last_complaint:
            log.warning("lease %s/%s: %s", self.namespace, self.name, complaint)
        self._last_complaint = complaint

    def _transitions(self) -> int:
        spec = self._spec()
        return (spec.lease_transitions or 0) if spec else 0

    def _holder(self) -> str | None:
        spec = self._spec()
        return spec.holder_identity if spec else None

    def _spec(self) -> V1LeaseSpec | None:
        lease: V1Lease | None = self.lease_reference
        return lease.spec if lease else None


class LeaderElector:
    """Campaigns for a Lease and leads while holding it.

    `lease_s` is how long others wait for a silent leader, `renew_s` after how long without renewal a leader stops
    by itself, `retry_s` how often it renews and others look. The identity must be unique, as a pod's name is.
    """

    def __init__(
        self,
        configuration: Configuration,
        namespace: str,
        name: str,
        identity: str,
        *,
        lease_s: int = 6,
        renew_s: float = 4,
        retry_s: float = 1,
        on_change: Callable[[bool], None] | None = None,
    ) -> None:
        self._configuration = configuration
        self.namespace = namespace
        self.name = name
        self.identity = identity
        self._lease_s = lease_s
        self._renew_s = renew_s
        self._retry_s = retry_s
        self._on_change = on_change
        self._leading: int | None = None

    @property
    def leading(self) -> int | None:
        """The fencing number of the present term, None while not leading."""
        return self._leading

    async def run(self, lead: Lead) -> None:
        """Campaign, lead, and campaign again after a loss, until cancelled.

        Ends when `lead` returns, and raises what it raises; in both cases, and when cancelled, the lease is given back.
        Raises `StuckError` if `lead` does not end when it is cancelled, and `IdentityTakenError`.
        """
        async with ApiClient(self._configuration) as api:
            while not await self._campaign(api, lead):
                log.warning("leadership of %s/%s lost", self.namespace, self.name)

    async def _campaign(self, api: ApiClient, lead: Lead) -> bool:
        """One term. True if `lead` ended by itself, False if the lease was lost."""
        lock = _Lock(self.name, self.namespace, self.identity, api)
        acquired = asyncio.get_running_loop().create_future()
        leading: asyncio.Task[None] | None = None

        async def take_over() -> None:
            # The library's own leading task only tells that the lease is ours: it would not be ended in every case.
            acquired.set_result(None)

        async def nothing() -> None:
            """Nothing to do: the end of the election task tells that the lease is lost."""

        config = Config(lock, self._lease_s, self._renew_s, self._retry_s, take_over, nothing)
        election = asyncio.create_task(LeaderElection(config).run(), name="election")
        try:
            await asyncio.wait({election, acquired}, return_when=asyncio.FIRST_COMPLETED)
            if not acquired.done():
                election.result()  # raises what broke it; it cannot end before it acquired
                return False
            leading = asyncio.create_task(self._lead(lead, lock.term or 0), name="leading")
            watchdog = asyncio.create_task(self._watch(lock), name="lease watchdog")
            try:
                await asyncio.wait({election, leading, watchdog}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                watchdog.cancel()
            if leading.done():
                leading.result()
                return True
            if lock.by_namesake:
                remedy = "give each process an identity of its own"
                raise IdentityTakenError(
                    f"lease {self.namespace}/{self.name}: taken by another {self.identity}; {remedy}"
                )
            return False
        finally:
            await _end(leading)
            await _end(election)
            await asyncio.shield(lock.release())

    async def _lead(self, lead: Lead, term: int) -> None:
        log.info("leading %s/%s as %s, term %d", self.namespace, self.name, self.identity, term)
        self._set_leading(term)
        try:
            await lead(term)
        finally:
            self._set_leading(None)

    async def _watch(self, lock: _Lock) -> None:
        """Return when the last renewal is too old, by monotonic time, or when the lease passed to another term."""
        loop = asyncio.get_running_loop()
        # Renewals are the library's and tell nobody; so this looks, a few times a second.
        while not lock.usurped and (left_s := lock.renewed_at_s + self._renew_s - loop.time()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(min(left_s, self._retry_s / 4))

    def _set_leading(self, term: int | None) -> None:
        self._leading = term
        if self._on_change:
            self._on_change(term is not None)


async def _end(task: asyncio.Task[None] | None) -> None:
    """Cancel a task and wait until it has ended, however it ends."""
    if task is None or task.done():
        return
    task.cancel()
    await asyncio.wait({task}, timeout=_STOP_S)
    if not task.done():
        raise StuckError(f"{task.get_name()} did not stop within {_STOP_S:g} s after its cancellation; end the process")
    if not task.cancelled() and (error := task.exception()):
        log.error("%s failed while it stopped: %r", task.get_name(), error, exc_info=error)
