"""One leadership: caches, watches, queues and controllers, from election to the loss of the lease.

Everything of a term is built anew and ends with it; nothing survives into the next but what is in the cluster.
Invariant: no controller runs before every cache holds a complete list.
"""

import asyncio
import base64
import logging
import os
import random
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from kubernetes.aio.client import Configuration

from assay.api import GROUP, KINDS, VERSION
from assay.app.options import Options
from assay.controllers.execute import Executor
from assay.controllers.metrics import showing
from assay.controllers.modeldeployment import ModelDeploymentController
from assay.controllers.reconcile import KindController, Reconciler
from assay.controllers.stores import CHILDREN, connect, make_stores
from assay.controllers.subnet import SubnetController
from assay.controllers.validatorpolicy import ValidatorPolicyController
from assay.desired.names import MANAGED_BY
from assay.desired.triton import Facts
from assay.handlers.registry import Sink
from assay.handlers.supervisor import KopfWatcher
from assay.kube import errors
from assay.kube.client import KubeClient
from assay.kube.informer import Informer
from assay.kube.recorder import Recorder
from assay.kube.resources import BUILT_IN, LEASES, SECRETS, Key, Object, Resource
from assay.kube.store import Store
from assay.planning.validator_draft import Settings
from assay.runtime.backoff import KeyedBackoff
from assay.runtime.clock import Clock
from assay.runtime.controller import Controller
from assay.runtime.workqueue import WorkQueue
from assay.telemetry.metrics import Metrics
from assay.triton.probe import AddressPolicy, Prober

log = logging.getLogger(__name__)

OWN = tuple(Resource(GROUP, VERSION, kind.DEFINITION.plural, kind.DEFINITION.kind) for kind in KINDS)
UNLABELLED = ("namespaces", "endpointslices")
"""What others make and assay reads."""
RECONCILED = ("Subnet", "ModelDeployment", "ValidatorPolicy")
SEED_SECRET = "assay-challenge-seed"  # noqa: S105 - the name of the Secret
SEED_KEY = "seed"
SEED_BYTES = 32
RESYNC_S = 600.0
RETRY_S = 2.0
MAX_RETRY_S = 60.0


class Term:
    """The work of one leadership."""

    def __init__(self, configuration: Configuration, options: Options, metrics: Metrics, clock: Clock) -> None:
        self._options = options
        self._metrics = metrics
        self._clock = clock
        self._client = KubeClient(configuration, known=OWN, observer=metrics)
        self._stores = make_stores()
        self._informers = [self._informer(resource) for resource in BUILT_IN if resource.plural in self._watched()]
        self._own = {resource.plural: self._informer(resource) for resource in OWN}
        self._watcher = KopfWatcher(
            configuration,
            GROUP,
            VERSION,
            {plural: _sink(self._stores[plural]) for plural in self._own},
            on_relist=self._on_relist,
            on_restart=metrics.kopf_restarts.inc,
        )
        # No miner's endpoint may lead back to the API server.
        self._address_policy = AddressPolicy.refusing([urlsplit(configuration.host).hostname or ""])
        self._recorder = Recorder(self._client, "assay", options.identity, clock)
        self._queues = {kind: WorkQueue[Key](metrics.queue(kind)) for kind in RECONCILED}
        self._controllers: list[Controller[Key]] = []
        self._relisted: asyncio.Queue[str] = asyncio.Queue()
        self.synced = False

    async def run(self) -> None:
        """Work until cancelled."""
        async with self._client:
            await self._list_own()
            secret = await self._challenge_secret()
            connect(self._stores, lambda kind, key: self._queues[kind].add(key) if kind in self._queues else None)
            with showing(self._metrics.market, self._stores):
                await self._work(secret)

    async def _work(self, secret: bytes) -> None:
        async with asyncio.TaskGroup() as group:
            for informer in self._informers:
                group.create_task(informer.run(), name=f"watch {informer.resource}")
            group.create_task(self._watcher.run(), name="kopf")
            group.create_task(self._recorder.run(), name="events")
            for informer in self._informers:
                await informer.wait_synced()
            await self._watcher.wait_synced()
            self.synced = True
            self._controllers = [self._controller(kind, brought) for kind, brought in self._kinds(secret).items()]
            for controller in self._controllers:
                group.create_task(controller.run(), name=controller.name)
            group.create_task(self._resync_now_and_then(), name="resync")
            group.create_task(self._heal_relists(), name="relists")
            log.info("all caches are complete; reconciling")

    def silence_s(self) -> float:
        """How long the most silent watch has brought nothing, in seconds."""
        silences = {str(informer.resource): informer.silent_for_s() for informer in self._informers}
        silences |= self._watcher.silences_s()
        self._metrics.report_watches(silences)
        return max(silences.values())

    def stuck_s(self) -> float:
        """How long work has outstayed its time limit, in seconds."""
        return max((controller.stuck_for_s() for controller in self._controllers), default=0.0)

    def _kinds(self, secret: bytes) -> dict[str, KindController[Any]]:
        options = self._options
        facts = Facts(triton_image=options.triton_image, cluster_domain=options.cluster_domain)
        return {
            "Subnet": SubnetController(self._stores),
            "ModelDeployment": ModelDeploymentController(self._stores, Prober(self._address_policy), facts),
            "ValidatorPolicy": ValidatorPolicyController(self._stores, Settings(options.scorer_image, secret)),
        }

    def _controller(self, kind: str, brought: KindController[Any]) -> Controller[Key]:
        store = self._stores[brought.model.DEFINITION.plural]
        executor = Executor(self._client, self._stores, self._recorder)
        queue = self._queues[kind]
        for key in store.keys():  # noqa: SIM118 - a Store is no mapping
            queue.add(key)
        return Controller(
            kind,
            queue,
            Reconciler(brought, store, executor, self._clock).reconcile,
            # A quota that was raised is seen within a minute: nothing tells us of it.
            backoff=KeyedBackoff(cap_s=MAX_RETRY_S),
            expected=(errors.KubeError,),
            observer=self._metrics.controller(kind),
        )

    def _watched(self) -> frozenset[str]:
        return frozenset((*CHILDREN, *UNLABELLED))

    def _informer(self, resource: Resource) -> Informer:
        selector = ",".join(f"{key}={value}" for key, value in MANAGED_BY.items())
        return Informer(
            self._client,
            resource,
            self._stores[resource.plural],
            label_selector=selector if resource.plural in CHILDREN else None,
            observer=self._metrics.informer(resource.plural),
        )

    async def _list_own(self) -> None:
        """Fill the caches of our kinds, waiting for their CRDs: kopf serves only what exists when it starts."""
        told = False
        while True:
            try:
                for informer in self._own.values():
                    await informer.resync()
                return
            except errors.KubeError as error:
                if not told:
                    log.warning("cannot list assay's kinds yet, trying again: %s", error)
                told = True
                await asyncio.sleep(RETRY_S)

    async def _challenge_secret(self) -> bytes:
        """The secret behind the challenges, made once for all terms and replicas."""
        namespace = self._options.namespace
        try:
            found = await self._client.get(SECRETS, namespace, SEED_SECRET)
        except errors.NotFound:
            try:
                found = await self._client.create(await self._new_secret(), field_manager="assay")
            except errors.AlreadyExists:
                found = await self._client.get(SECRETS, namespace, SEED_SECRET)
        return base64.b64decode(found["data"][SEED_KEY])

    async def _new_secret(self) -> Object:
        lease = await self._client.get(LEASES, self._options.namespace, self._options.lease_name)
        owner = {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "name": lease["metadata"]["name"],
            "uid": lease["metadata"]["uid"],
        }
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            # Tied to the Lease, which an uninstall takes along.
            "metadata": {"namespace": self._options.namespace, "name": SEED_SECRET, "ownerReferences": [owner]},
            "data": {SEED_KEY: base64.b64encode(os.urandom(SEED_BYTES)).decode()},
        }

    def _on_relist(self, plural: str) -> None:
        self._relisted.put_nowait(plural)

    async def _heal_relists(self) -> None:
        """After kopf listed anew, compare with a LIST of our own: kopf never tells what vanished meanwhile."""
        while True:
            plural = await self._relisted.get()
            if not await self._resync(plural):
                await asyncio.sleep(RETRY_S)
                self._relisted.put_nowait(plural)

    async def _resync_now_and_then(self) -> None:
        """Compare every cache of ours with the cluster now and then, and look at every object once more."""
        while True:
            await asyncio.sleep(RESYNC_S * random.uniform(0.9, 1.1))  # noqa: S311 - replicas should not march in step
            for plural in self._own:
                await self._resync(plural)
            for kind, queue in self._queues.items():
                plural = next(resource.plural for resource in OWN if resource.kind == kind)
                for key in self._stores[plural].keys():  # noqa: SIM118 - a Store is no mapping
                    queue.add(key)

    async def _resync(self, plural: str) -> bool:
        """Compare one cache with a LIST; False if there was none to be had."""
        try:
            await self._own[plural].resync()
        except errors.KubeError as error:
            log.warning("resync of %s put off: %s", plural, error)
            return False
        return True


def _sink(store: Store) -> Sink:
    """Takes kopf's events over into a store."""

    def take(kind: str | None, obj: Mapping[str, Any]) -> None:
        store.apply_event("DELETED" if kind == "DELETED" else "MODIFIED", dict(obj))

    return take
