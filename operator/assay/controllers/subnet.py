"""Gathers what a Subnet's plan reads."""

from collections.abc import Mapping
from datetime import datetime

from assay.api import (
    ModelDeployment,
    NamespacedName,
    Resource,
    ScoreReport,
    Subnet,
    ValidatorPolicy,
)
from assay.controllers.reading import readable
from assay.controllers.stores import BY_SUBNET, Stores, owned
from assay.desired.bonds import DATA_KEY
from assay.desired.names import LABEL_EPOCH
from assay.kube.resources import Key
from assay.planning import subnet as planner
from assay.planning.plan import Plan
from assay.planning.subnet_draft import Snapshot, StoredChunk
from assay.planning.validator_draft import labelled_epoch


class SubnetController:
    """Subnets: members, epochs, consensus."""

    model: type[Resource] = Subnet

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    async def gather(self, key: Key) -> Snapshot | None:
        """Read the caches. Members that do not parse are no members: their own condition says why."""
        obj = self._stores["subnets"].get(key)
        if obj is None:
            return None
        subnet = Subnet.parse(obj)
        deployments = readable(ModelDeployment, self._stores["modeldeployments"].by_index(BY_SUBNET, key))
        reports = readable(ScoreReport, self._stores["scorereports"].by_index(BY_SUBNET, key))
        return Snapshot(
            subnet=subnet,
            deployments=tuple(deployments),
            policies=self._policies(subnet),
            namespace_labels={one.metadata.namespace: self._labels(one.metadata.namespace) for one in deployments},
            reports={str(report.metadata.namespaced_name): report for report in reports},
            chunks={chunk.name: chunk for chunk in self._chunks(key)},
        )

    def plan(self, seen: Snapshot, now: datetime) -> Plan:
        """What the subnet needs."""
        return planner.plan(seen, now)

    def _policies(self, subnet: Subnet) -> dict[NamespacedName, ValidatorPolicy]:
        names = [entry.policy_ref.namespaced_name for entry in subnet.spec.validators]
        found = (self._stores["validatorpolicies"].get(name) for name in names)
        return {policy.metadata.namespaced_name: policy for policy in readable(ValidatorPolicy, found)}

    def _labels(self, namespace: str) -> Mapping[str, str]:
        obj = self._stores["namespaces"].get(("", namespace))
        return (obj["metadata"].get("labels") or {}) if obj else {}

    def _chunks(self, key: Key) -> list[StoredChunk]:
        return [
            StoredChunk(
                name=child["metadata"]["name"],
                uid=child["metadata"]["uid"],
                epoch=labelled_epoch(child, LABEL_EPOCH),
                text=(child.get("data") or {}).get(DATA_KEY, ""),
            )
            for child in owned(self._stores["configmaps"], "Subnet", key)
        ]
