"""Gathers what a ModelDeployment's plan reads."""

from collections.abc import Mapping
from datetime import datetime

from assay.api import ModelDeployment, Resource, Subnet
from assay.controllers.reading import readable_one
from assay.controllers.stores import BY_SERVICE, Stores, owned
from assay.desired.triton import KIND, Facts, child_name
from assay.kube.resources import Key, Object
from assay.planning import modeldeployment as planner
from assay.planning.modeldeployment import Children, Probe, Snapshot
from assay.planning.plan import Plan
from assay.triton.probe import Answer, Prober, Target


class ModelDeploymentController:
    """ModelDeployments: Triton's children, servers elsewhere, the mirror of the subnet."""

    model: type[Resource] = ModelDeployment

    def __init__(self, stores: Stores, prober: Prober, facts: Facts) -> None:
        self._stores = stores
        self._prober = prober
        self._facts = facts

    async def gather(self, key: Key) -> Snapshot | None:
        """Read the caches, and what the prober knows of a server elsewhere."""
        obj = self._stores["modeldeployments"].get(key)
        if obj is None:
            return None
        deployment = ModelDeployment.parse(obj)
        answer = self._answer(key, deployment)
        result = answer.result
        return Snapshot(
            deployment=deployment,
            facts=self._facts,
            subnet=self._subnet(deployment),
            namespace_labels=self._namespace_labels(deployment.metadata.namespace),
            children=self._children(deployment),
            pods=tuple(owned(self._stores["pods"], KIND, key)),
            probe=Probe(result.outcome, result.message) if result is not None else None,
            is_probing=answer.is_pending,
            endpoint_slices=self._endpoint_slices(deployment),
        )

    def plan(self, seen: Snapshot, now: datetime) -> Plan:
        """What the deployment needs."""
        return planner.plan(seen, now)

    def _answer(self, key: Key, deployment: ModelDeployment) -> Answer:
        url = self._url(deployment)
        if url is None or deployment.spec.suspend:
            return Answer(None, is_pending=False)
        model = deployment.spec.model
        return self._prober.latest(key, Target(url, model.name, model.version))

    def _url(self, deployment: ModelDeployment) -> str | None:
        """Where a server that is not ours answers; None for our own pods, whose readiness Kubernetes tells."""
        spec = deployment.spec
        if spec.endpoint is not None:
            return spec.endpoint.url
        if spec.service_ref is None:
            return None
        namespace, domain = deployment.metadata.namespace, self._facts.cluster_domain
        return f"grpc://{spec.service_ref.name}.{namespace}.svc.{domain}:{spec.service_ref.port}"

    def _subnet(self, deployment: ModelDeployment) -> Subnet | None:
        if deployment.spec.subnet_ref is None:
            return None
        obj = self._stores["subnets"].get(deployment.spec.subnet_ref.resolve(deployment.metadata.namespace))
        return readable_one(Subnet, obj)

    def _namespace_labels(self, namespace: str) -> Mapping[str, str]:
        obj = self._stores["namespaces"].get(("", namespace))
        return (obj["metadata"].get("labels") or {}) if obj is not None else {}

    def _children(self, deployment: ModelDeployment) -> Children:
        key = (deployment.metadata.namespace, child_name(deployment.metadata.name))
        return Children(
            service_account=self._stores["serviceaccounts"].get(key),
            deployment=self._stores["deployments"].get(key),
            service=self._stores["services"].get(key),
        )

    def _endpoint_slices(self, deployment: ModelDeployment) -> tuple[Object, ...]:
        ref = deployment.spec.service_ref
        if ref is None:
            return ()
        return tuple(self._stores["endpointslices"].by_index(BY_SERVICE, (deployment.metadata.namespace, ref.name)))
