"""ValidatorPolicy: how one validator judges the miners of a subnet.

Invariants kept by schema and rules: challenges come from one place, there is always something to compare answers
with, and every request is bounded in time and number.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, ClassVar, Final, Literal, TypeAlias

from pydantic import Field

from assay.api.durations import parse_duration_ms, parse_duration_s
from assay.api.meta import DataKey, LocalRef, ObjectName, ObjectRef
from assay.api.resource import Column, Definition, Resource, name_rule
from assay.api.schema import ATOMIC, U16, Epoch, GoDuration, Model, PodTemplate, Rule, Uid, Units, cel
from assay.api.v1alpha1.common import Conditions, Endpoint, Sha256
from assay.api.v1alpha1.subnet import Stake, TaskKind

Metric: TypeAlias = Literal["CosineDistance", "RelativeError", "ExactMatch", "TopLabel"]
RandomKind: TypeAlias = Literal["Sentences", "Tensor"]

DEFAULT_METRIC: Final[Mapping[TaskKind, Metric]] = MappingProxyType(
    {
        "Embedding": "CosineDistance",
        "Classification": "TopLabel",
        "TextGeneration": "ExactMatch",
        "Tensor": "RelativeError",
    }
)
"""The comparison of a validator that names none, by the subnet's task."""


class DatasetConfigMap(Model):
    """A dataset in a ConfigMap of the same namespace."""

    name: ObjectName
    """Name of the ConfigMap."""
    key: DataKey = "inputs.jsonl"
    """Key of the JSON lines in the ConfigMap."""


class Dataset(Model):
    """Challenges from a file: JSON lines of KServe v2 inputs, optionally with expected outputs."""

    config_map: DatasetConfigMap
    """Where the file is."""


class RandomChallenge(Model):
    """Challenges drawn from the epoch's seed and this validator's identity."""

    kind: RandomKind
    """Sentences: English sentences for text inputs; Tensor: numbers of the model's input shape."""


@cel(
    "self.perMiner <= self.total",
    "perMiner must not exceed total; raise total or lower perMiner",
    lambda it: it.per_miner <= it.total,
    field=".perMiner",
)
class Concurrency(Model):
    """How many requests may be in flight."""

    per_miner: Annotated[int, Field(ge=1, le=64)] = 2
    """To one miner."""
    total: Annotated[int, Field(ge=1, le=1024)] = 32
    """To all miners together."""


@cel(
    "has(self.dataset) != has(self.random)",
    "exactly one of dataset and random must be set: dataset takes challenges from a file, random draws them from the"
    " epoch's seed",
    lambda it: (it.dataset is None) != (it.random is None),
)
class Challenge(Model):
    """What miners are asked."""

    samples_per_miner: Annotated[int, Field(ge=1, le=1024)] = 32
    """How many challenges each miner gets in an epoch."""
    dataset: Dataset | None = None
    """Take challenges from a file."""
    random: RandomChallenge | None = None
    """Draw challenges from the epoch's seed."""
    timeout: Annotated[str, GoDuration("10ms", "5m")] = "5s"
    """Time for one request, from the first byte sent to the last received."""
    concurrency: Concurrency = Concurrency()
    """How many requests may be in flight."""

    @property
    def timeout_ms(self) -> int:
        """`timeout` in milliseconds."""
        return parse_duration_ms(self.timeout)


@cel(
    "has(self.modelDeploymentRef) != has(self.endpoint)",
    "exactly one of modelDeploymentRef and endpoint must be set: a ModelDeployment of this namespace without subnetRef,"
    " or a server that the validator trusts",
    lambda it: (it.model_deployment_ref is None) != (it.endpoint is None),
)
class Reference(Model):
    """The validator's own replica of the model: its answers are what miners are compared with."""

    model_deployment_ref: LocalRef | None = None
    """A ModelDeployment of this namespace without subnetRef."""
    endpoint: Endpoint | None = None
    """A server that the validator trusts."""


class Comparison(Model):
    """How far an answer may be from the reference."""

    metric: Metric
    """CosineDistance and RelativeError measure a distance; ExactMatch and TopLabel ask whether answers agree."""
    tolerance: Annotated[
        str,
        Field(min_length=1, max_length=16),
        Rule(
            r"self.matches(r'^[0-9]{1,3}(\.[0-9]{1,12})?$') && double(self) > 0.0",
            'must be a decimal above 0 and below 1000, in quotes, such as "0.001"; larger is more forgiving',
            lambda text: _is_positive_decimal(text),  # noqa: PLW0108 - defined below
        ),
    ] = "0.001"
    """Distance at which the quality of an answer reaches 0; not used by ExactMatch and TopLabel."""


class Latency(Model):
    """How much speed counts."""

    target: Annotated[str, GoDuration("1ms", "5m")] = "250ms"
    """A median latency up to this costs nothing."""
    weight_percent: Annotated[int, Field(ge=0, le=100)] = 20
    """How much of the score depends on latency; 0 for not at all."""

    @property
    def target_ms(self) -> int:
        """`target` in milliseconds."""
        return parse_duration_ms(self.target)


class Scoring(Model):
    """How answers become a weight."""

    comparison: Comparison | None = None
    """How answers are compared; absent means by the subnet's task."""
    latency: Latency = Latency()
    """How much speed counts."""
    exponent: Annotated[int, Field(ge=1, le=8)] = 2
    """Power of the quality: higher values punish small faults more."""


class ScoringJob(Model):
    """The Job that scores."""

    pod_template: PodTemplate | None = None
    """Merged strategically over the operator's pod; its container is called `scorer`. A validator may bring its own
    image."""
    ttl_after_finished: Annotated[str, GoDuration("0s", "24h")] = "10m"
    """How long a finished Job is kept for a look at its logs; at least until its epoch takes no more reports."""

    @property
    def ttl_after_finished_s(self) -> float:
        """`ttl_after_finished` in seconds."""
        return parse_duration_s(self.ttl_after_finished)


@cel(
    "has(self.reference) || has(self.challenge.dataset)",
    "reference may be absent only with challenge.dataset, whose lines then hold the expected outputs; set"
    " reference.modelDeploymentRef or reference.endpoint",
    lambda it: it.reference is not None or it.challenge.dataset is not None,
    field=".reference",
)
class ValidatorPolicySpec(Model):
    """What the validator's owner wants."""

    subnet_ref: ObjectRef
    """The subnet it judges."""
    challenge: Challenge
    """What miners are asked."""
    reference: Reference | None = None
    """What answers are compared with; may be absent if the dataset has expected outputs."""
    scoring: Scoring = Scoring()
    """How answers become a weight."""
    job: ScoringJob = ScoringJob()
    """The Job that scores."""
    suspend: bool = False
    """Whether the validator rests: no Job is started while it is true."""


class ValidatorMembership(Model):
    """The validator's place in its subnet."""

    subnet: Annotated[str, Field(max_length=317)]
    """Namespace and name of the Subnet."""
    uid: Uid
    """Its number there."""
    stake: Stake = 0
    """Stake given by the subnet's owner."""
    permit: bool = False
    """Whether its reports count."""


class AssignmentStatus(Model):
    """The assignment that was given last."""

    epoch: Epoch
    """Number of the epoch."""
    digest: Sha256
    """Digest of the assignment's bytes; the report must repeat it."""


class LastScored(Model):
    """The last report."""

    epoch: Epoch
    """Number of the epoch."""
    report: Annotated[str, Field(max_length=253)]
    """Name of the ScoreReport."""
    miners: Annotated[int, Field(ge=0, le=65_535)] = 0
    """Miners it scored."""
    failures: Annotated[int, Field(ge=0)] = 0
    """Requests that failed."""


class ValidatorConsensus(Model):
    """What the last committed epoch gave the validator; mirrored from its Subnet."""

    epoch: Epoch
    """Number of the epoch."""
    trust: U16 = 0
    """How much of its weight the consensus shared; n means n/65535."""
    dividends: U16 = 0
    """Share it is paid by; n means n/65535."""
    emission: Units = 0
    """Units paid."""


class RecentEpoch(Model):
    """How one epoch went."""

    epoch: Epoch
    """Number of the epoch."""
    job_outcome: Annotated[str, Field(min_length=1, max_length=64)]
    """How the Job ended, in one word."""
    report_digest: Sha256 | None = None
    """Digest of the report, where there is one."""


class ValidatorPolicyStatus(Model):
    """What the operator saw."""

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """Generation of the spec this was computed from."""
    membership: ValidatorMembership | None = None
    """Its place in the subnet."""
    assignment: AssignmentStatus | None = None
    """The assignment that was given last."""
    last_scored: LastScored | None = None
    """The last report."""
    consensus: ValidatorConsensus | None = None
    """What the last committed epoch gave it."""
    recent: Annotated[tuple[RecentEpoch, ...], Field(strict=False, max_length=5), ATOMIC] = ()
    """The latest epochs, newest first."""
    conditions: Conditions = ()
    """Ready, Accepted, Permitted, ReferenceReady and Scoring."""


@name_rule(45, "its Jobs are named after it, with epoch and digest")
class ValidatorPolicy(Resource):
    """A validator: what it asks miners, what it compares their answers with, and how answers become weights."""

    DEFINITION: ClassVar[Definition] = Definition(
        kind="ValidatorPolicy",
        plural="validatorpolicies",
        short_name="vp",
        columns=(
            Column("Subnet", ".status.membership.subnet", description="The subnet it judges"),
            Column("Stake", ".status.membership.stake", "integer", description="Stake given by the subnet's owner"),
            Column("Trust", ".status.consensus.trust", "integer", description="Share of its weight the consensus had"),
            Column("Dividends", ".status.consensus.dividends", "integer", description="Share it is paid by, of 65535"),
            Column("Last Epoch", ".status.lastScored.epoch", "integer", description="Epoch of its last report"),
            Column("Ready", '.status.conditions[?(@.type=="Ready")].status', description="Whether it can judge"),
            Column("Age", ".metadata.creationTimestamp", "date"),
        ),
    )

    spec: ValidatorPolicySpec
    status: ValidatorPolicyStatus = ValidatorPolicyStatus()


def _is_positive_decimal(text: str) -> bool:
    whole, dot, fraction = text.partition(".")
    digits = text.isascii() and whole.isdigit() and len(whole) <= 3 and (not dot or fraction.isdigit())
    return digits and len(fraction) <= 12 and any(digit != "0" for digit in whole + fraction)
