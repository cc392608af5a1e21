"""The operator's process: health and metrics always, a term of work while it leads.

Owns start and stop. SIGTERM ends the term first and gives the lease back, so that the next leader need not wait.
"""

import asyncio
import logging
import signal
from contextlib import AsyncExitStack

from kubernetes.aio.client import Configuration

from assay.app.options import Options
from assay.app.term import Term
from assay.kube import auth
from assay.kube.lease import LeaderElector
from assay.runtime.clock import Clock, SystemClock
from assay.telemetry.health import Check, LoopLag, at_most, health_app, metrics_app, serving
from assay.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

MAX_LAG_S = 10.0
MAX_SILENCE_S = 300.0
MAX_STUCK_S = 60.0


class Operator:
    """One replica of the operator."""

    def __init__(self, options: Options, clock: Clock | None = None) -> None:
        self._options = options
        self._clock = clock or SystemClock()
        self._metrics = Metrics()
        self._lag = LoopLag(self._metrics.loop_lag.set)
        self._term: Term | None = None

    async def run(self) -> None:
        """Serve and campaign until SIGTERM or SIGINT; then stop in order.

        Raises:
            CredentialsError: there is no usable way to the API server.
        """
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        configuration = await auth.load(self._options.kubeconfig, self._options.context)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(serving(health_app(self._live(), self._ready()), self._options.health_port))
            await stack.enter_async_context(serving(metrics_app(self._metrics.registry), self._options.metrics_port))
            working = asyncio.create_task(self._work(configuration), name="operator")
            asked = asyncio.create_task(stopping.wait(), name="signals")
            await asyncio.wait({working, asked}, return_when=asyncio.FIRST_COMPLETED)
            asked.cancel()
            working.cancel()
            # What broke the work, if anything did, has to end the process with a status that says so.
            await asyncio.gather(working, return_exceptions=stopping.is_set())
        log.info("stopped")

    async def _work(self, configuration: Configuration) -> None:
        elector = LeaderElector(
            configuration,
            self._options.namespace,
            self._options.lease_name,
            self._options.identity,
            on_change=lambda leads: self._metrics.set_leader(self._options.lease_name, leads),
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(self._lag.run(), name="loop lag")
            group.create_task(elector.run(lambda fencing: self._lead(configuration, fencing)), name="election")

    async def _lead(self, configuration: Configuration, fencing: int) -> None:
        self._term = Term(configuration, self._options, self._metrics, self._clock)
        try:
            await self._term.run()
        finally:
            self._term = None
        raise RuntimeError(f"the work of term {fencing} ended by itself")

    def _live(self) -> list[Check]:
        """Progress, not presence: a process that runs but gets nothing done is to be restarted."""
        remedy = "look at the logs for what blocks; the kubelet will restart the pod"
        return [
            at_most("event loop", self._lag.lag_s, MAX_LAG_S, remedy),
            at_most("watches", lambda: self._term.silence_s() if self._term else 0.0, MAX_SILENCE_S, remedy),
            at_most("workers", lambda: self._term.stuck_s() if self._term else 0.0, MAX_STUCK_S, remedy),
        ]

    def _ready(self) -> list[Check]:
        """A standby is ready to take over; a leader once its caches are complete."""
        return [Check("caches", lambda: None if self._term is None or self._term.synced else "not complete yet")]
