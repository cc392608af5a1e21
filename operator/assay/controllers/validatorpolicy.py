"""Gathers what a ValidatorPolicy's plan reads."""

from datetime import datetime
from typing import Any

from assay.api import ModelDeployment, Resource, ScoreReport, Subnet, ValidatorPolicy
from assay.controllers.reading import readable, readable_one
from assay.controllers.stores import BY_POLICY, BY_SUBNET, Stores, owned
from assay.desired.names import LABEL_EPOCH
from assay.desired.scoring_job import ANNOTATION_ASSIGNMENT, ASSIGNMENT_KEY, KIND
from assay.kube.resources import Key
from assay.planning import validatorpolicy as planner
from assay.planning.plan import Plan
from assay.planning.validator_draft import Settings, Snapshot, StoredAssignment, StoredJob, labelled_epoch


class ValidatorPolicyController:
    """ValidatorPolicies: assignments and scoring Jobs."""

    model: type[Resource] = ValidatorPolicy

    def __init__(self, stores: Stores, settings: Settings) -> None:
        self._stores = stores
        self._settings = settings

    async def gather(self, key: Key) -> Snapshot | None:
        """Read the caches."""
        obj = self._stores["validatorpolicies"].get(key)
        if obj is None:
            return None
        policy = ValidatorPolicy.parse(obj)
        subnet_key = policy.spec.subnet_ref.resolve(policy.metadata.namespace)
        miners = readable(ModelDeployment, self._stores["modeldeployments"].by_index(BY_SUBNET, subnet_key))
        reports = readable(ScoreReport, self._stores["scorereports"].by_index(BY_POLICY, key))
        return Snapshot(
            policy=policy,
            subnet=readable_one(Subnet, self._stores["subnets"].get(subnet_key)),
            deployments={miner.metadata.uid: miner for miner in miners},
            reference=self._reference(policy),
            assignments={one.name: one for one in self._assignments(key)},
            jobs={job.name: job for job in self._jobs(key)},
            reports={
                report.metadata.name: report for report in reports if report.spec.validator.uid == policy.metadata.uid
            },
            settings=self._settings,
        )

    def plan(self, seen: Snapshot, now: datetime) -> Plan:
        """What the validator needs."""
        return planner.plan(seen, now)

    def _reference(self, policy: ValidatorPolicy) -> ModelDeployment | None:
        reference = policy.spec.reference
        if reference is None or reference.model_deployment_ref is None:
            return None
        obj = self._stores["modeldeployments"].get((policy.metadata.namespace, reference.model_deployment_ref.name))
        return readable_one(ModelDeployment, obj)

    def _assignments(self, key: Key) -> list[StoredAssignment]:
        return [
            StoredAssignment(
                name=child["metadata"]["name"],
                uid=child["metadata"]["uid"],
                epoch=labelled_epoch(child, LABEL_EPOCH),
                text=(child.get("data") or {}).get(ASSIGNMENT_KEY, ""),
            )
            for child in owned(self._stores["configmaps"], KIND, key)
        ]

    def _jobs(self, key: Key) -> list[StoredJob]:
        pods = list(owned(self._stores["pods"], KIND, key))
        return [_stored_job(child, pods) for child in owned(self._stores["jobs"], KIND, key)]


def _stored_job(job: dict[str, Any], pods: list[dict[str, Any]]) -> StoredJob:
    metadata = job["metadata"]
    ended = [
        condition
        for condition in (job.get("status") or {}).get("conditions") or ()
        if condition["type"] in {"Complete", "Failed"} and condition["status"] == "True"
    ]
    failed = [f"{one.get('reason', '')}: {one.get('message', '')}" for one in ended if one["type"] == "Failed"]
    mine = [pod for pod in pods if (pod["metadata"].get("labels") or {}).get("job-name") == metadata["name"]]
    return StoredJob(
        name=metadata["name"],
        uid=metadata["uid"],
        epoch=labelled_epoch(job, LABEL_EPOCH),
        assignment_digest=(metadata.get("annotations") or {}).get(ANNOTATION_ASSIGNMENT, ""),
        finished=bool(ended),
        failure="; ".join([*failed, *_obstacles(mine)]),
    )


def _obstacles(pods: list[dict[str, Any]]) -> list[str]:
    """Why pods do not run, in the kubelet's words; that a container is being created is no obstacle."""
    waiting = (
        (status.get("state") or {}).get("waiting") or {}
        for pod in pods
        for status in (pod.get("status") or {}).get("containerStatuses") or ()
    )
    return [
        f"{state['reason']}: {state.get('message', '')}"
        for state in waiting
        if state.get("reason") not in {None, "ContainerCreating", "PodInitializing"}
    ]
