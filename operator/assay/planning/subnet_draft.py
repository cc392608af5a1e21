"""What a Subnet's plan reads and what it is made of while it is made."""

from collections.abc import Mapping
from dataclasses import dataclass

from assay.api import (
    CommittedEpoch,
    ModelDeployment,
    NamespacedName,
    ScoreReport,
    Subnet,
    ValidatorPolicy,
    ValidatorStatus,
)
from assay.desired.bonds import NO_BONDS, Bonds
from assay.epochs import Epoch, Phase
from assay.planning.membership import Roster
from assay.planning.plan import Effect
from assay.planning.reports import Judged


@dataclass(frozen=True)
class StoredChunk:
    """A ConfigMap with a part of the bonds, as it stands in the cluster."""

    name: str
    uid: str
    epoch: int
    text: str


@dataclass(frozen=True)
class Snapshot:
    """All that a Subnet's plan reads.

    Attributes:
        subnet: the object itself.
        deployments: those that name this subnet, wherever they are.
        policies: the ValidatorPolicies that the subnet lists, as far as they exist.
        namespace_labels: labels by namespace, of the namespaces of `deployments`.
        reports: all ScoreReports that name this subnet, by `namespace/name`.
        chunks: the bonds' ConfigMaps that belong to the subnet, by name.
    """

    subnet: Subnet
    deployments: tuple[ModelDeployment, ...]
    policies: Mapping[NamespacedName, ValidatorPolicy]
    namespace_labels: Mapping[str, Mapping[str, str]]
    reports: Mapping[str, ScoreReport]
    chunks: Mapping[str, StoredChunk]


@dataclass(frozen=True)
class Draft:
    """The plan in the making."""

    roster: Roster
    epoch: Epoch
    phase: Phase
    committed: CommittedEpoch | None
    judged: Judged
    effects: tuple[Effect, ...] = ()
    bonds: Bonds | None = NO_BONDS
    """Of the last commit; None if they are lost."""


def permitted(roster: Roster) -> list[ValidatorStatus]:
    """Validators whose reports count."""
    return [row for row in roster.validators if row.permit and row.stake > 0]


def ready_miners(seen: Snapshot, draft: Draft) -> frozenset[str]:
    """Object UIDs of the registered miners that can be asked now."""
    registered = {row.object_uid for row in draft.roster.miners}
    return frozenset(
        deployment.metadata.uid
        for deployment in seen.deployments
        if deployment.metadata.uid in registered
        and any(condition.type == "Ready" and condition.status == "True" for condition in deployment.status.conditions)
    )


def epoch_number(committed: CommittedEpoch | None) -> int:
    """Number of a commit; 0 if there was none."""
    return committed.number if committed else 0
