"""The closed set of reasons that a ModelDeployment's conditions give, with what each means and what to do.

`docs/reference/conditions.md` is rendered from here; a reason that is not in the set cannot be reported.
"""

from enum import StrEnum
from typing import Final


class DeploymentReason(StrEnum):
    """Why a condition of a ModelDeployment is as it is."""

    ACCEPTED = "Accepted"
    ALL_REPLICAS_READY = "AllReplicasReady"
    MODEL_LOADED = "ModelLoaded"
    SERVING = "Serving"
    EXTERNAL = "External"
    UP_TO_DATE = "UpToDate"
    REGISTERED = "Registered"
    SCORED = "Scored"

    INVALID_SPEC = "InvalidSpec"
    REFUSED = "Refused"
    NAME_TAKEN = "NameTaken"
    SUSPENDED = "Suspended"
    SCALED_TO_ZERO = "ScaledToZero"
    REPLICAS_UPDATING = "ReplicasUpdating"
    ROLLOUT_STUCK = "RolloutStuck"

    QUOTA_EXCEEDED = "QuotaExceeded"
    PODS_REFUSED = "PodsRefused"
    UNSCHEDULABLE = "Unschedulable"
    WAITING_FOR_GPU = "WaitingForGPU"
    IMAGE_PULL_FAILED = "ImagePullFailed"
    CONTAINER_NOT_CREATED = "ContainerNotCreated"
    CRASH_LOOP = "CrashLoop"
    OOM_KILLED = "OOMKilled"
    EVICTED = "Evicted"
    NODE_LOST = "NodeLost"
    POD_STARTING = "PodStarting"

    MODEL_LOADING = "ModelLoading"
    MODEL_LOAD_FAILED = "ModelLoadFailed"
    MODEL_UNAVAILABLE = "ModelUnavailable"
    MODEL_MISMATCH = "ModelMismatch"

    PROBE_PENDING = "ProbePending"
    UNREACHABLE = "Unreachable"
    PROTOCOL_ERROR = "ProtocolError"
    SERVICE_NOT_FOUND = "ServiceNotFound"
    NO_ENDPOINTS = "NoEndpoints"

    SUBNET_NOT_FOUND = "SubnetNotFound"
    NOT_ALLOWED = "NotAllowed"
    SUBNET_FULL = "SubnetFull"
    WAITING_FOR_EPOCH = "WaitingForEpoch"
    NOT_REGISTERED = "NotRegistered"
    NO_REPORTS = "NoReports"


MEANINGS: Final[dict[DeploymentReason, str]] = {
    DeploymentReason.ACCEPTED: "The spec can be carried out.",
    DeploymentReason.ALL_REPLICAS_READY: "Every replica runs the newest template and serves the model.",
    DeploymentReason.MODEL_LOADED: "At least one server says that the model is ready.",
    DeploymentReason.SERVING: "Requests are answered now.",
    DeploymentReason.EXTERNAL: "The server is not run by this operator; see ModelAvailable.",
    DeploymentReason.UP_TO_DATE: "Nothing is being rolled out.",
    DeploymentReason.REGISTERED: "The miner holds a number of its subnet.",
    DeploymentReason.SCORED: "Validators scored the miner in the last committed epoch.",
    DeploymentReason.INVALID_SPEC: "The spec cannot be carried out; the message names field and remedy.",
    DeploymentReason.REFUSED: "The API server refuses a child as it is asked for; the message has its words.",
    DeploymentReason.NAME_TAKEN: "An object that is not ours has the name of a child; rename it or this object.",
    DeploymentReason.SUSPENDED: "`spec.suspend` is true: no pods run.",
    DeploymentReason.SCALED_TO_ZERO: "`spec.replicas` is 0: no pods run.",
    DeploymentReason.REPLICAS_UPDATING: "Pods are being created or replaced.",
    DeploymentReason.ROLLOUT_STUCK: "The rollout made no progress for longer than its deadline.",
    DeploymentReason.QUOTA_EXCEEDED: "The namespace's quota does not allow the pods; raise it or ask for less.",
    DeploymentReason.PODS_REFUSED: "The API server refuses the pods, by pod security or another admission rule.",
    DeploymentReason.UNSCHEDULABLE: "No node takes the pod; the scheduler's words are in the message.",
    DeploymentReason.WAITING_FOR_GPU: "No node has enough free accelerators.",
    DeploymentReason.IMAGE_PULL_FAILED: "An image, of the server or of the model, cannot be pulled.",
    DeploymentReason.CONTAINER_NOT_CREATED: "The container cannot be created, for want of a key, a mount or a command.",
    DeploymentReason.CRASH_LOOP: "The server ends again and again; `modelStatus.lastFailure` has the end of its log.",
    DeploymentReason.OOM_KILLED: "The server took more memory than its limit; raise the limit by podTemplate.",
    DeploymentReason.EVICTED: "The node took the pod away, and no other is there yet.",
    DeploymentReason.NODE_LOST: "The pod's node does not answer.",
    DeploymentReason.POD_STARTING: "Volumes are mounted and images pulled.",
    DeploymentReason.MODEL_LOADING: "The server runs; the model is being loaded.",
    DeploymentReason.MODEL_LOAD_FAILED: "The server could not load the model; `modelStatus.lastFailure` says why.",
    DeploymentReason.MODEL_UNAVAILABLE: "The server answers, but the model is not ready in it.",
    DeploymentReason.MODEL_MISMATCH: "What the server has is not what the spec or the subnet's task names.",
    DeploymentReason.PROBE_PENDING: "The server has not been asked yet.",
    DeploymentReason.UNREACHABLE: "The server does not answer in time.",
    DeploymentReason.PROTOCOL_ERROR: "Something answers, but not as a KServe v2 server does.",
    DeploymentReason.SERVICE_NOT_FOUND: "`spec.serviceRef` names no Service, or one with nothing behind it.",
    DeploymentReason.NO_ENDPOINTS: "The Service has no ready endpoint.",
    DeploymentReason.SUBNET_NOT_FOUND: "The Subnet that `spec.subnetRef` names does not exist.",
    DeploymentReason.NOT_ALLOWED: "The Subnet does not let miners of this namespace in.",
    DeploymentReason.SUBNET_FULL: "The Subnet has as many miners as it takes; a place becomes free by pruning.",
    DeploymentReason.WAITING_FOR_EPOCH: "The next epoch has to open, or to be committed, first.",
    DeploymentReason.NOT_REGISTERED: "Without a number in the subnet there is nothing to score.",
    DeploymentReason.NO_REPORTS: "No validator's report counted for this miner in the last committed epoch.",
}

REMEDIES: Final[dict[DeploymentReason, str]] = {
    DeploymentReason.INVALID_SPEC: "Correct the field that the message names; what ran before keeps running.",
    DeploymentReason.REFUSED: "Remove what forbids it: a quota, an admission policy, missing rights of the operator.",
    DeploymentReason.NAME_TAKEN: "Delete the other object, or give this one another name.",
    DeploymentReason.SUSPENDED: "Set `spec.suspend` to false.",
    DeploymentReason.SCALED_TO_ZERO: "Set `spec.replicas` to 1 or more.",
    DeploymentReason.ROLLOUT_STUCK: "Look at the pods; undo the change, or make room for it.",
    DeploymentReason.QUOTA_EXCEEDED: "Raise the ResourceQuota, or ask for less.",
    DeploymentReason.PODS_REFUSED: "Change what the message objects to; assay itself keeps to `restricted`.",
    DeploymentReason.UNSCHEDULABLE: "Add a node that fits, or loosen what `spec.podTemplate` asks for.",
    DeploymentReason.WAITING_FOR_GPU: "Free or add accelerators, or lower `spec.gpus.count`.",
    DeploymentReason.IMAGE_PULL_FAILED: "Correct the reference, or add `imagePullSecrets` by `spec.podTemplate`.",
    DeploymentReason.CONTAINER_NOT_CREATED: "Make the ConfigMap, Secret or key that the message names.",
    DeploymentReason.CRASH_LOOP: "Read the quoted log, then `kubectl logs --previous`.",
    DeploymentReason.OOM_KILLED: "Raise `resources.limits.memory` of container `triton` in `spec.podTemplate`.",
    DeploymentReason.EVICTED: "See why the node took it; give the pod requests that match its use.",
    DeploymentReason.NODE_LOST: "See whether the node is up; Kubernetes replaces the pod by itself after a while.",
    DeploymentReason.MODEL_LOAD_FAILED: "Correct the model repository as the quoted line says.",
    DeploymentReason.MODEL_UNAVAILABLE: "See the server's log: the model was unloaded or failed.",
    DeploymentReason.MODEL_MISMATCH: "Serve the model that the subnet's task names, or correct `spec.model`.",
    DeploymentReason.UNREACHABLE: "Check the address, that the server runs, and that nothing between drops packets.",
    DeploymentReason.PROTOCOL_ERROR: "Check scheme and port: gRPC and HTTP have different ports.",
    DeploymentReason.SERVICE_NOT_FOUND: "Correct the name, or create the Service.",
    DeploymentReason.NO_ENDPOINTS: "See the pods behind the Service.",
    DeploymentReason.SUBNET_NOT_FOUND: "Create the Subnet, or correct `spec.subnetRef`.",
    DeploymentReason.NOT_ALLOWED: "Ask the Subnet's owner to widen `spec.members.allowedNamespaces`.",
    DeploymentReason.SUBNET_FULL: "Wait, or ask the owner for a higher `spec.members.maxMiners`.",
    DeploymentReason.NOT_REGISTERED: "See Registered.",
    DeploymentReason.NO_REPORTS: "See `status.rejectedReports` of the Subnet, and its ValidatorPolicies.",
}
"""What to do, for every reason that asks for something."""

CONDITIONS: Final[dict[str, str]] = {
    "Ready": "Accepted, WorkloadReady, ModelAvailable and Servable all hold.",
    "Accepted": "The spec can be carried out.",
    "WorkloadReady": "All wished pods run the newest template and are ready.",
    "ModelAvailable": "The model is ready in at least one server.",
    "Servable": "Requests are answered now, perhaps by fewer pods or an older template than wished.",
    "Progressing": "A new template is still being rolled out.",
    "Registered": "The miner holds a number of its subnet. Only with `spec.subnetRef`.",
    "Scored": "The last committed epoch has a score of the miner. Only with `spec.subnetRef`.",
}
"""The condition types of a ModelDeployment in the order in which they are written."""
