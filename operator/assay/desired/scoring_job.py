"""The children of a ValidatorPolicy: its scorer's identity, the assignment of an epoch and the Job that works it off.

Invariant: the Job's pod holds exactly one right, to create ScoreReports in its own namespace, and all it needs to know
stands in the assignment; it is given no other way to look into the cluster.
"""

from collections.abc import Mapping
from typing import Any

from assay.api import Assignment, ValidatorPolicy
from assay.desired.names import LABEL_EPOCH, SCORER_CLUSTER_ROLE, child_metadata, scorer_account
from assay.desired.podtemplate import merge_pod_template

KIND = "ValidatorPolicy"
CONTAINER = "scorer"
ASSIGNMENT_KEY = "assignment.json"
ASSIGNMENT_DIRECTORY = "/etc/assay/assignment"
DATASET_DIRECTORY = "/etc/assay/dataset"
ANNOTATION_ASSIGNMENT = "assay.dev/assignment-digest"
USER_ID = 10001

RESTRICTED_CONTAINER = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
RESTRICTED_POD = {
    "runAsNonRoot": True,
    "runAsUser": USER_ID,
    "runAsGroup": USER_ID,
    "fsGroup": USER_ID,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def service_account(policy: ValidatorPolicy) -> dict[str, Any]:
    """The identity under which this policy's Jobs file their reports."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": child_metadata(KIND, policy.metadata, "scorer", scorer_account(policy.metadata.name)),
        "automountServiceAccountToken": False,
    }


def role_binding(policy: ValidatorPolicy) -> dict[str, Any]:
    """Binds that identity to the one right a scorer has."""
    account = scorer_account(policy.metadata.name)
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": child_metadata(KIND, policy.metadata, "scorer", account),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": SCORER_CLUSTER_ROLE},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": policy.metadata.namespace}],
    }


def assignment_config_map(policy: ValidatorPolicy, assignment: Assignment) -> dict[str, Any]:
    """The assignment of one epoch, immutable, under the name that Job and report share with it."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _epoch_metadata(policy, assignment, "assignment"),
        "immutable": True,
        "data": {ASSIGNMENT_KEY: assignment.canonical_bytes().decode()},
    }


def scoring_job(
    policy: ValidatorPolicy, assignment: Assignment, *, image: str, active_deadline_s: int, ttl_s: int
) -> dict[str, Any]:
    """The Job that works off an assignment.

    Args:
        policy: whose Job it is; its `job.podTemplate` is merged into the pod.
        assignment: what to do; mounted as a file.
        image: the scorer's image, unless the policy brings its own.
        active_deadline_s: seconds after which Kubernetes ends the Job; at least 1.
        ttl_s: seconds a finished Job is kept.

    Raises:
        PodTemplateRefused: the policy's template would break what the Job has to keep.
    """
    template = {
        "metadata": {"labels": _epoch_metadata(policy, assignment, "scorer")["labels"]},
        "spec": _pod_spec(policy, assignment, image),
    }
    metadata = _epoch_metadata(policy, assignment, "scorer")
    metadata["annotations"] = {ANNOTATION_ASSIGNMENT: assignment.digest()}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {
            # A node that dies must not cost the epoch; a scorer that fails twice will fail again.
            "backoffLimit": 1,
            "podReplacementPolicy": "Failed",
            "activeDeadlineSeconds": active_deadline_s,
            "ttlSecondsAfterFinished": ttl_s,
            "template": merge_pod_template(template, policy.spec.job.pod_template, container=CONTAINER),
        },
    }


def _epoch_metadata(policy: ValidatorPolicy, assignment: Assignment, role: str) -> dict[str, Any]:
    return child_metadata(
        KIND, policy.metadata, role, assignment.report.name, extra_labels={LABEL_EPOCH: str(assignment.epoch)}
    )


def _pod_spec(policy: ValidatorPolicy, assignment: Assignment, image: str) -> dict[str, Any]:
    volumes, mounts = _files(policy, assignment)
    return {
        "serviceAccountName": scorer_account(policy.metadata.name),
        # The token's only right is to create this validator's ScoreReports.
        "automountServiceAccountToken": True,
        "enableServiceLinks": False,
        "restartPolicy": "Never",
        "securityContext": RESTRICTED_POD,
        "containers": [
            {
                "name": CONTAINER,
                "image": image,
                "imagePullPolicy": "IfNotPresent",
                "args": ["score", "--assignment", f"{ASSIGNMENT_DIRECTORY}/{ASSIGNMENT_KEY}"],
                "env": [{"name": "HOME", "value": "/tmp"}],  # noqa: S108 - an emptyDir of this pod alone
                "securityContext": RESTRICTED_CONTAINER,
                "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}},
                "volumeMounts": mounts,
            }
        ],
        "volumes": volumes,
    }


def _files(policy: ValidatorPolicy, assignment: Assignment) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    volumes: list[Mapping[str, Any]] = [
        {"name": "assignment", "configMap": {"name": assignment.report.name}},
        {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}},
    ]
    mounts: list[Mapping[str, Any]] = [
        {"name": "assignment", "mountPath": ASSIGNMENT_DIRECTORY, "readOnly": True},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - an emptyDir of this pod alone
    ]
    dataset = policy.spec.challenge.dataset
    if dataset is not None:
        volumes.append({"name": "dataset", "configMap": {"name": dataset.config_map.name}})
        mounts.append({"name": "dataset", "mountPath": DATASET_DIRECTORY, "readOnly": True})
    return volumes, mounts
