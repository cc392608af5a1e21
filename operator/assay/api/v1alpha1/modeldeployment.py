"""ModelDeployment: a miner of a subnet, or a plain Triton deployment where it names no subnet.

Invariants kept by schema and rules: it serves in exactly one way, what belongs to pods is asked only of pods, and a
rollout can always proceed.
"""

from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field

from assay.api.durations import parse_duration_s
from assay.api.meta import ObjectName, ObjectRef
from assay.api.resource import Column, Definition, Resource, Scale, name_rule
from assay.api.schema import (
    ATOMIC,
    U16,
    Epoch,
    GoDuration,
    Matches,
    Model,
    PodTemplate,
    Rule,
    Timestamp,
    Uid,
    Units,
    cel,
)
from assay.api.v1alpha1.common import ClaimedModel, Conditions, Endpoint, RelativePath

ModelState: TypeAlias = Literal["Pending", "Loading", "Loaded", "FailedToLoad", "Unknown"]

_REGISTRY = "[a-zA-Z0-9]([-.a-zA-Z0-9]*[a-zA-Z0-9])?(:[0-9]{1,5})?"
_COMPONENT = "[a-z0-9]([-._a-z0-9]*[a-z0-9])?"

ImageReference: TypeAlias = Annotated[
    str,
    Field(min_length=1, max_length=512),
    Matches(
        rf"({_REGISTRY}/)?{_COMPONENT}(/{_COMPONENT})*(:[a-zA-Z0-9_][-._a-zA-Z0-9]{{0,127}})?(@sha256:[0-9a-f]{{64}})?",
        "must be an image reference such as example.com/team/image:tag or one with @sha256:…; no scheme, no spaces",
    ),
]

OWN_FLAGS = (
    "--model-repository",
    "--model-store",
    "--model-control-mode",
    "--load-model",
    "--backend-directory",
    "--exit-timeout-secs",
    "--allow-http",
    "--allow-grpc",
    "--http-port",
    "--grpc-port",
    "--metrics-port",
    "--http-address",
    "--grpc-address",
    "--metrics-address",
)
"""Flags of tritonserver that the operator sets, because probes, Services and scoring depend on them."""

_OWN_FLAG = f"({'|'.join(OWN_FLAGS)})(=.*)?"

TritonArgument: TypeAlias = Annotated[
    str,
    Field(min_length=1, max_length=1024),
    Rule(
        f"!self.matches(r'(?s)^{_OWN_FLAG}$')",
        "the operator sets the repository, model control, backend directory, exit timeout, addresses and ports itself;"
        " remove the flag, and use source, backendDirectory or drain instead",
        lambda text: text.split("=", 1)[0] not in OWN_FLAGS,
    ),
]


class ImageSource(Model):
    """A model repository in an OCI image, mounted read-only."""

    reference: ImageReference
    """The image."""
    pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    """When the image is pulled."""
    sub_path: RelativePath = ""
    """Directory in the image; empty means its root."""


class PersistentVolumeClaimSource(Model):
    """A model repository on a volume of the same namespace, mounted read-only."""

    claim_name: ObjectName
    """Name of the PersistentVolumeClaim."""
    sub_path: RelativePath = ""
    """Directory in the volume; empty means its root."""


class ConfigMapSource(Model):
    """A small model in a ConfigMap of the same namespace: `config.pbtxt`, and the files of the version's folder."""

    name: ObjectName
    """Name of the ConfigMap."""


@cel(
    "[has(self.image), has(self.persistentVolumeClaim), has(self.configMap)].exists_one(given, given)",
    "exactly one of image, persistentVolumeClaim and configMap must hold the model's files; set one, remove the others",
    lambda it: [it.image, it.persistent_volume_claim, it.config_map].count(None) == 2,
)
class ModelSource(Model):
    """Where the model repository, or a part of it, comes from."""

    image: ImageSource | None = None
    """An OCI image."""
    persistent_volume_claim: PersistentVolumeClaimSource | None = None
    """A volume."""
    config_map: ConfigMapSource | None = None
    """A ConfigMap, for small Python models and tests."""


class Triton(Model):
    """Serve by Triton pods in this cluster."""

    image: ImageReference | None = None
    """Triton's image; absent means the operator's default."""
    source: ModelSource
    """Where the model comes from."""
    backend_directory: Annotated[
        str,
        Field(max_length=512),
        Matches(r"(/[-._a-zA-Z0-9]+)*/?", "must be an absolute path in the image, or empty for Triton's own default"),
    ] = ""
    """Directory of Triton's backends, where an image needs it; empty means Triton's own default."""
    args: Annotated[tuple[TritonArgument, ...], Field(strict=False, max_length=64), ATOMIC] = ()
    """Further arguments of tritonserver."""
    shared_memory: Annotated[
        str,
        Field(min_length=1, max_length=16),
        Matches(
            "0|[1-9][0-9]{0,11}(Ki|Mi|Gi|Ti|k|M|G|T)?",
            'must be a whole quantity of bytes such as 512Mi or 1Gi, or "0" for none',
        ),
    ] = "1Gi"
    """Size of /dev/shm, counted as memory of the pod; "0" for none."""


class ServiceRef(Model):
    """A Service of the same namespace that already serves the KServe v2 protocol over gRPC."""

    name: ObjectName
    """Name of the Service."""
    port: Annotated[int, Field(ge=1, le=65_535)] = 8001
    """Port of the Service that speaks gRPC."""


class Gpus(Model):
    """Accelerators for each replica."""

    count: Annotated[int, Field(ge=0, le=64)] = 1
    """How many; 0 means that the model runs on the CPU."""
    resource: Annotated[
        str,
        Field(min_length=1, max_length=317),
        Matches(
            r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/[a-zA-Z0-9]([-._a-zA-Z0-9]*[a-zA-Z0-9])?",
            "must be an extended resource such as nvidia.com/gpu: a domain, '/' and a name",
        ),
    ] = "nvidia.com/gpu"
    """Extended resource that counts them."""


@cel(
    "self.maxSurge > 0 || self.maxUnavailable > 0",
    "maxSurge and maxUnavailable must not both be 0: no pod could ever be replaced;"
    " set maxUnavailable to 1 on full GPUs, or maxSurge to 1 where there is room",
    lambda it: it.max_surge > 0 or it.max_unavailable > 0,
)
class Rollout(Model):
    """How pods are replaced."""

    max_surge: Annotated[int, Field(ge=0, le=1000)] = 0
    """Pods above `replicas` while replacing; each needs GPUs of its own."""
    max_unavailable: Annotated[int, Field(ge=0, le=1000)] = 1
    """Pods below `replicas` while replacing."""


class Drain(Model):
    """How a pod leaves."""

    pre_stop: Annotated[str, GoDuration("0s", "10m")] = "10s"
    """How long a pod keeps serving after it was asked to stop, until traffic has gone elsewhere."""
    exit_timeout: Annotated[str, GoDuration("0s", "1h")] = "30s"
    """How long requests in flight may take after that."""

    @property
    def pre_stop_s(self) -> float:
        """`pre_stop` in seconds."""
        return parse_duration_s(self.pre_stop)

    @property
    def exit_timeout_s(self) -> float:
        """`exit_timeout` in seconds."""
        return parse_duration_s(self.exit_timeout)


@cel(
    "[has(self.triton), has(self.endpoint), has(self.serviceRef)].exists_one(given, given)",
    "exactly one of triton, endpoint and serviceRef must be set: triton serves the model here, endpoint names a server"
    " anywhere, serviceRef adopts a Service of this namespace",
    lambda it: [it.triton, it.endpoint, it.service_ref].count(None) == 2,
)
@cel(
    "has(self.triton) || self.replicas <= 1",
    "replicas above 1 need triton: the operator scales only pods that it runs; set replicas to 1 and scale the server"
    " itself",
    lambda it: it.triton is not None or it.replicas <= 1,
    field=".replicas",
)
@cel(
    "has(self.triton) || !has(self.gpus)",
    "gpus need triton: the operator places only pods that it runs; remove gpus and give them to the server itself",
    lambda it: it.triton is not None or it.gpus is None,
    field=".gpus",
)
@cel(
    "has(self.triton) || !has(self.podTemplate)",
    "podTemplate needs triton: there are no pods to shape otherwise; remove podTemplate or serve by triton",
    lambda it: it.triton is not None or it.pod_template is None,
    field=".podTemplate",
)
@cel(
    "!has(self.triton) || self.model.version.matches(r'^[1-9][0-9]{0,17}$')",
    'with triton, a version is a whole number from 1, the name of the version directory; write a version such as "1"',
    lambda it: (
        it.triton is None
        or (
            it.model.version.isascii()
            and it.model.version.isdigit()
            and len(it.model.version) <= 18
            and it.model.version[0] != "0"
        )
    ),
    field=".model.version",
)
class ModelDeploymentSpec(Model):
    """What the miner's owner wants."""

    subnet_ref: ObjectRef | None = None
    """The subnet to join; in another namespace only where that Subnet allows it. Absent: no subnet."""
    model: ClaimedModel
    """What is served, and claimed to be."""
    triton: Triton | None = None
    """Serve by Triton pods in this cluster."""
    endpoint: Endpoint | None = None
    """Name a server anywhere."""
    service_ref: ServiceRef | None = None
    """Adopt what already serves in this namespace."""
    gpus: Gpus | None = None
    """Accelerators for each replica; absent means none."""
    replicas: Annotated[int, Field(ge=0, le=1000)] = 1
    """How many pods serve."""
    pod_template: PodTemplate | None = None
    """Merged strategically over the operator's pod; its container is called `triton`."""
    rollout: Rollout = Rollout()
    """How pods are replaced; the default is safe on full GPUs."""
    drain: Drain = Drain()
    """How a pod leaves."""
    suspend: bool = False
    """Whether all pods are taken away; the miner keeps its number and is scored as absent."""


class Addresses(Model):
    """Where the model answers."""

    grpc: Annotated[str, Field(max_length=512)] | None = None
    """KServe v2 over gRPC."""
    http: Annotated[str, Field(max_length=512)] | None = None
    """KServe v2 over HTTP."""
    metrics: Annotated[str, Field(max_length=512)] | None = None
    """Prometheus metrics."""


class LastFailure(Model):
    """The last failure of the model or its server."""

    reason: Annotated[str, Field(min_length=1, max_length=64)]
    """One word from the documented set."""
    message: Annotated[str, Field(max_length=1024)] = ""
    """What the server said."""
    exit_code: int | None = None
    """Exit code of the container, where it ended."""
    time: Timestamp | None = None
    """When it happened."""


class ModelStatus(Model):
    """The model in the server."""

    state: ModelState = "Unknown"
    """How far it is."""
    last_failure: LastFailure | None = None
    """What went wrong last."""


class MinerMembership(Model):
    """The miner's place in its subnet."""

    subnet: Annotated[str, Field(max_length=317)]
    """Namespace and name of the Subnet."""
    uid: Uid
    """Its number there."""
    registered_epoch: Epoch = 0
    """Epoch in which it joined."""


class MinerConsensus(Model):
    """What the last committed epoch gave the miner; mirrored from its Subnet."""

    epoch: Epoch
    """Number of the epoch."""
    weight: U16 = 0
    """Consensus weight; n means n/65535."""
    incentive: U16 = 0
    """Share it is paid by; n means n/65535."""
    emission: Units = 0
    """Units paid."""
    score: Annotated[str, Field(max_length=32)] | None = None
    """Mean quality over the validators that scored it, from 0 to 1, as a decimal."""
    validators: Annotated[int, Field(ge=0, le=65_535)] | None = None
    """How many validators scored it."""


class ModelDeploymentStatus(Model):
    """What the operator saw."""

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """Generation of the spec this was computed from."""
    replicas: Annotated[int, Field(ge=0)] | None = None
    """Pods there are."""
    ready_replicas: Annotated[int, Field(ge=0)] | None = None
    """Pods that serve."""
    updated_replicas: Annotated[int, Field(ge=0)] | None = None
    """Pods of the newest spec."""
    selector: Annotated[str, Field(max_length=1024)] | None = None
    """Label selector of the pods, for autoscalers."""
    addresses: Addresses | None = None
    """Where the model answers."""
    model_status: ModelStatus | None = None
    """The model in the server."""
    membership: MinerMembership | None = None
    """Its place in the subnet."""
    consensus: MinerConsensus | None = None
    """What the last committed epoch gave it."""
    conditions: Conditions = ()
    """Ready, Accepted, WorkloadReady, ModelAvailable, Servable, Progressing, Registered and Scored."""


@name_rule(52, "its Service and pods are named after it")
class ModelDeployment(Resource):
    """A miner: Triton pods in this cluster, a Service of its namespace, or a server anywhere."""

    DEFINITION: ClassVar[Definition] = Definition(
        kind="ModelDeployment",
        plural="modeldeployments",
        short_name="md",
        scale=Scale(),
        columns=(
            Column("Subnet", ".status.membership.subnet", description="The subnet it is a miner of"),
            Column("UID", ".status.membership.uid", "integer", description="Its number there"),
            Column("Weight", ".status.consensus.weight", "integer", description="Consensus weight, of 65535"),
            Column("Incentive", ".status.consensus.incentive", "integer", description="Share it is paid by, of 65535"),
            Column("Replicas", ".status.readyReplicas", "integer", description="Pods that serve"),
            Column("Ready", '.status.conditions[?(@.type=="Ready")].status', description="Whether it serves"),
            Column("Reason", '.status.conditions[?(@.type=="Ready")].reason', description="Why, in one word"),
            Column("Age", ".metadata.creationTimestamp", "date"),
        ),
    )

    spec: ModelDeploymentSpec
    status: ModelDeploymentStatus = ModelDeploymentStatus()
