"""The assignment of a validator for an epoch: whom to ask, with which challenges, and whom to compare with.

Pure: the same facts give the same bytes. The seed comes from a secret of the operator, so that nobody outside can
compute the challenges of an epoch before it opens.
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from assay.api import (
    DEFAULT_METRIC,
    AssignedChallenge,
    AssignedDataset,
    AssignedMiner,
    AssignedModel,
    AssignedRandom,
    AssignedReference,
    AssignedScoring,
    Assignment,
    Comparison,
    MinerStatus,
    ModelDeployment,
    ObjectIdentity,
    ObjectMeta,
    OwnerReference,
    ReportTarget,
    Subnet,
    ValidatorPolicy,
)
from assay.desired.names import epoch_name, owner_reference
from assay.desired.scoring_job import DATASET_DIRECTORY, KIND


@dataclass(frozen=True)
class Reference:
    """Where a validator's own replica of the model answers."""

    url: str


def assignment(
    policy: ValidatorPolicy,
    subnet: Subnet,
    miners: Iterable[MinerStatus],
    deployments: Mapping[str, ModelDeployment],
    reference: Reference | None,
    secret: bytes,
) -> Assignment:
    """The assignment for the epoch that is open in the subnet's status.

    Args:
        policy: whose assignment it is.
        subnet: its status has the open epoch.
        miners: rows of those to score.
        deployments: their ModelDeployments by object UID, as far as they exist.
        reference: None where the dataset has the expected outputs.
        secret: at least 32 bytes, the operator's.
    """
    epoch = subnet.status.epoch
    if epoch is None:
        raise ValueError(f"{subnet.subject}: an assignment needs an open epoch")
    model = subnet.spec.task.model
    return Assignment(
        subnet=_identity(subnet.metadata),
        epoch=epoch.number,
        validator=_identity(policy.metadata),
        report=ReportTarget(
            namespace=policy.metadata.namespace,
            name=epoch_name(policy.metadata.name, policy.metadata.uid, subnet.metadata.uid, epoch.number),
            owner_reference=OwnerReference.model_validate(owner_reference(KIND, policy.metadata)),
        ),
        deadline=epoch.scoring_deadline,
        seed=_seed(secret, subnet.metadata.uid, epoch.number, policy.metadata.uid),
        task=subnet.spec.task.kind,
        model=AssignedModel(name=model.name, version=model.version),
        miners=tuple(_miner(row, deployments.get(row.object_uid)) for row in miners),
        challenge=_challenge(policy),
        reference=AssignedReference(url=reference.url) if reference else None,
        scoring=_scoring(policy, subnet),
    )


def address(deployment: ModelDeployment) -> str | None:
    """Where a ModelDeployment answers inference, as a URL; None while it has no address or rests."""
    if deployment.spec.suspend:
        return None
    if deployment.spec.endpoint is not None:
        return deployment.spec.endpoint.url
    addresses = deployment.status.addresses
    return addresses.grpc if addresses else None


def _identity(metadata: ObjectMeta) -> ObjectIdentity:
    return ObjectIdentity(namespace=metadata.namespace, name=metadata.name, uid=metadata.uid)


def _miner(row: MinerStatus, deployment: ModelDeployment | None) -> AssignedMiner:
    url = address(deployment) if deployment else None
    return AssignedMiner(uid=row.uid, namespace=row.namespace, name=row.name, url=url)


def _challenge(policy: ValidatorPolicy) -> AssignedChallenge:
    challenge = policy.spec.challenge
    dataset = challenge.dataset
    return AssignedChallenge(
        samples_per_miner=challenge.samples_per_miner,
        random=AssignedRandom(kind=challenge.random.kind) if challenge.random else None,
        dataset=AssignedDataset(path=f"{DATASET_DIRECTORY}/{dataset.config_map.key}") if dataset else None,
        timeout_ms=challenge.timeout_ms,
        concurrency_per_miner=challenge.concurrency.per_miner,
        concurrency_total=challenge.concurrency.total,
    )


def _scoring(policy: ValidatorPolicy, subnet: Subnet) -> AssignedScoring:
    scoring = policy.spec.scoring
    comparison = scoring.comparison or Comparison(metric=DEFAULT_METRIC[subnet.spec.task.kind])
    return AssignedScoring(
        metric=comparison.metric,
        tolerance=comparison.tolerance,
        latency_target_ms=scoring.latency.target_ms,
        latency_weight_percent=scoring.latency.weight_percent,
        exponent=scoring.exponent,
    )


def _seed(secret: bytes, subnet_uid: str, epoch: int, policy_uid: str) -> str:
    return hmac.new(secret, f"{subnet_uid}/{epoch}/{policy_uid}".encode(), hashlib.sha256).hexdigest()
