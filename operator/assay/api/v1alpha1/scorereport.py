"""ScoreReport: one validator's scores for one epoch, write-once.

Invariants kept by schema and rules: a report never changes, it has scores or says why it has none, and all its
numbers are whole. Whether it counts is for the Subnet to decide.
"""

from typing import Annotated, ClassVar

from pydantic import Field

from assay.api.meta import Namespace, OwnName
from assay.api.resource import Column, Definition, Resource
from assay.api.schema import U16, Epoch, ListMap, Model, Timestamp, Uid, cel
from assay.api.v1alpha1.common import Conditions, Sha256


class SubnetIdentity(Model):
    """The subnet an epoch belongs to; by UID, so that a recreated Subnet takes no old reports."""

    namespace: Namespace
    """Namespace of the Subnet."""
    name: OwnName
    """Name of the Subnet."""
    uid: Annotated[str, Field(min_length=1, max_length=128)]
    """metadata.uid of the Subnet."""


class ValidatorIdentity(Model):
    """The validator that reports; its ValidatorPolicy is in the report's namespace."""

    name: OwnName
    """Name of the ValidatorPolicy."""
    uid: Annotated[str, Field(min_length=1, max_length=128)]
    """metadata.uid of the ValidatorPolicy."""


@cel(
    "self.failures <= self.samples",
    "failures must not exceed samples: each sample fails once at most; correct the counts",
    lambda it: it.failures <= it.samples,
    field=".failures",
)
class Score(Model):
    """What one miner achieved."""

    uid: Uid
    """The miner's number in the subnet."""
    weight: U16
    """The weight given to it; n means n/65535."""
    samples: Annotated[int, Field(ge=0, le=65_535)] = 0
    """Challenges it got."""
    failures: Annotated[int, Field(ge=0, le=65_535)] = 0
    """Those it did not answer, or not well-formed."""
    quality_ppm: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Mean quality over all samples, in millionths."""
    latency_p50_us: Annotated[int, Field(ge=0, le=9_007_199_254_740_991)] | None = None
    """Median latency in microseconds; absent when nothing was answered."""
    latency_p99_us: Annotated[int, Field(ge=0, le=9_007_199_254_740_991)] | None = None
    """99th percentile of latency in microseconds; absent when nothing was answered."""


class PackedScores(Model):
    """Scores as columns of equal length, for more than 256 miners: base64 of little-endian u16."""

    uids: Annotated[str, Field(max_length=10_924)]
    """The miners' numbers."""
    weights: Annotated[str, Field(max_length=10_924)]
    """The weights given to them."""


class ReportFailure(Model):
    """Why there are no scores."""

    reason: Annotated[str, Field(min_length=1, max_length=64)]
    """One word, such as ReferenceUnavailable."""
    message: Annotated[str, Field(max_length=1024)] = ""
    """What was tried, and what to do about it."""


class Scorer(Model):
    """The program that scored."""

    version: Annotated[str, Field(max_length=64)] = ""
    """Its version."""
    image_digest: Annotated[str, Field(max_length=256)] = ""
    """Digest of its image, where it is known."""


@cel(
    "self == oldSelf",
    "a ScoreReport's spec never changes: one report per validator and epoch is final; report anew in the next epoch",
)
@cel(
    "[has(self.failure), has(self.packed), has(self.scores) && size(self.scores) > 0].filter(given, given).size() <= 1",
    "scores, packed and failure exclude one another: a report gives weights in one form or says why it has none; keep"
    " one",
    lambda it: sum((it.failure is not None, it.packed is not None, len(it.scores) > 0)) <= 1,
)
class ScoreReportSpec(Model):
    """What the scorer measured."""

    subnet: SubnetIdentity
    """The subnet."""
    epoch: Epoch
    """The epoch it was filed for."""
    validator: ValidatorIdentity
    """The validator."""
    assignment_digest: Sha256
    """Digest of the assignment that was carried out."""
    scores: Annotated[tuple[Score, ...], Field(strict=False, max_length=256), ListMap("uid")] = ()
    """Scores in full rows, for up to 256 miners."""
    packed: PackedScores | None = None
    """Scores as columns, for more."""
    failure: ReportFailure | None = None
    """Why there are no scores."""
    scorer: Scorer = Scorer()
    """The program that scored."""
    started_at: Timestamp
    """When scoring began."""
    finished_at: Timestamp
    """When it ended."""


class ScoreReportStatus(Model):
    """What the operator made of the report."""

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """Generation of the spec this was computed from."""
    conditions: Conditions = ()
    """Accepted: whether the report counts, and why."""


class ScoreReport(Resource):
    """One validator's scores for one epoch; filed once by its scorer, never changed."""

    DEFINITION: ClassVar[Definition] = Definition(
        kind="ScoreReport",
        plural="scorereports",
        short_name="sr",
        columns=(
            Column("Subnet", ".spec.subnet.name", description="The subnet"),
            Column("Epoch", ".spec.epoch", "integer", description="The epoch"),
            Column("Validator", ".spec.validator.name", description="The validator"),
            Column("Failure", ".spec.failure.reason", priority=1, description="Why there are no scores"),
            Column("Age", ".metadata.creationTimestamp", "date"),
        ),
    )

    spec: ScoreReportSpec
    status: ScoreReportStatus = ScoreReportStatus()
