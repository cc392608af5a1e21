"""Assignment: what a scorer is asked to do in one epoch, as a file in canonical JSON.

Owns the bytes: their SHA-256 is what a report must repeat, so two builders of one assignment write the same bytes. It
is not a resource, but is built of the same strict models. It must never carry a credential; `token_file` names a path
in the pod.
"""

import hashlib
import json
from typing import Annotated, Final, Literal

from pydantic import Field, SerializerFunctionWrapHandler, ValidationError, model_serializer

from assay.api.errors import InvalidObject, describe
from assay.api.meta import NamespacedName, OwnerReference
from assay.api.schema import Epoch, Model, Timestamp, Uid
from assay.api.v1alpha1.subnet import TaskKind
from assay.api.v1alpha1.validatorpolicy import Metric, RandomKind

SCHEMA: Final = "assay.dev/assignment/v1"


class ObjectIdentity(Model):
    """An object by namespace, name and metadata.uid."""

    namespace: str
    name: str
    uid: str

    @property
    def namespaced_name(self) -> NamespacedName:
        """Namespace and name together."""
        return NamespacedName(self.namespace, self.name)


class ReportTarget(Model):
    """The ScoreReport to create: where, under which name, and owned by whom."""

    namespace: str
    name: str
    owner_reference: OwnerReference


class AssignedModel(Model):
    """The model that every miner claims to serve."""

    name: str
    version: str


class AssignedMiner(Model):
    """One miner to ask. `url` is absent when it has no address now: that counts as failed."""

    uid: Uid
    namespace: str
    name: str
    url: str | None = None
    ca: str | None = None
    """Certificate authority in PEM; absent means the public ones."""
    token_file: str | None = None
    """Path, in the scorer's pod, of the bearer token to send."""


class AssignedRandom(Model):
    """Challenges drawn from the seed."""

    kind: RandomKind


class AssignedDataset(Model):
    """Challenges from a file in the scorer's pod."""

    path: str


class AssignedChallenge(Model):
    """What to ask, and within which bounds; either `random` or `dataset` is there."""

    samples_per_miner: Annotated[int, Field(ge=1, le=1024)]
    random: AssignedRandom | None = None
    dataset: AssignedDataset | None = None
    timeout_ms: Annotated[int, Field(ge=1)]
    concurrency_per_miner: Annotated[int, Field(ge=1)]
    concurrency_total: Annotated[int, Field(ge=1)]

    @model_serializer(mode="wrap")
    def _without_absent(self, handler: SerializerFunctionWrapHandler) -> dict[str, object]:
        return {key: value for key, value in handler(self).items() if value is not None}


class AssignedReference(Model):
    """The validator's own replica of the model."""

    url: str
    ca: str | None = None
    """Certificate authority in PEM; absent means the public ones."""
    token_file: str | None = None
    """Path, in the scorer's pod, of the bearer token to send."""


class AssignedScoring(Model):
    """How answers become a weight."""

    metric: Metric
    tolerance: str
    """Decimal: the distance at which quality reaches 0."""
    latency_target_ms: Annotated[int, Field(ge=1)]
    latency_weight_percent: Annotated[int, Field(ge=0, le=100)]
    exponent: Annotated[int, Field(ge=1, le=8)]


class Assignment(Model):
    """All that one scoring Job needs to know."""

    schema_: Annotated[Literal["assay.dev/assignment/v1"], Field(alias="schema")] = SCHEMA
    subnet: ObjectIdentity
    epoch: Epoch
    validator: ObjectIdentity
    report: ReportTarget
    deadline: Timestamp
    """The report must be filed by then."""
    seed: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """Seed of the challenges, 64 hexadecimal digits; unpredictable before the epoch opens."""
    task: TaskKind
    model: AssignedModel
    miners: Annotated[tuple[AssignedMiner, ...], Field(strict=False, max_length=4096)]
    challenge: AssignedChallenge
    reference: AssignedReference | None = None
    """Absent when the dataset has expected outputs."""
    scoring: AssignedScoring

    @classmethod
    def parse_file(cls, data: bytes) -> "Assignment":  # type: ignore[override]  # replaces what pydantic deprecated
        """Read an assignment file. Raises InvalidObject naming each problem."""
        try:
            value = json.loads(data)
        except ValueError as error:
            raise InvalidObject(
                "assignment", (f"is not JSON: {error}; give the file that the operator wrote",)
            ) from None
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            raise describe("assignment", error) from None

    def canonical_bytes(self) -> bytes:
        """Return the file's bytes: UTF-8 JSON, keys sorted, no spaces."""
        wire = self.model_dump(mode="json", by_alias=True)
        return json.dumps(wire, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()

    def digest(self) -> str:
        """Return `sha256:` and the hexadecimal SHA-256 of the canonical bytes."""
        return digest_of(self.canonical_bytes())


def digest_of(data: bytes) -> str:
    """Return `sha256:` and the hexadecimal SHA-256 of the bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
