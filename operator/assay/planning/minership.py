"""A ModelDeployment's place in its subnet, mirrored from the Subnet's own status.

Owns Registered and Scored, and the two status blocks they stand on. Decides nothing: numbers are given and scores are
committed by the Subnet's controller alone. A row belongs to an object, not to a name: the row of a deleted namesake is
nobody's.
"""

from dataclasses import dataclass

from assay.api import MinerConsensus, MinerMembership, MinerStatus, NamespacedName, Subnet
from assay.planning.conditions import Verdict, no, yes
from assay.planning.membership import admits, miner_limit
from assay.planning.reasons import DeploymentReason as Reason
from assay.planning.serving import Snapshot


@dataclass(frozen=True)
class Minership:
    """The mirror: conditions and blocks, all empty for a deployment that names no subnet."""

    verdicts: tuple[Verdict, ...] = ()
    membership: MinerMembership | None = None
    consensus: MinerConsensus | None = None


def minership(seen: Snapshot) -> Minership:
    """Look the deployment up in its subnet."""
    deployment = seen.deployment
    if deployment.spec.subnet_ref is None:
        return Minership()
    where = deployment.spec.subnet_ref.resolve(deployment.metadata.namespace)
    if seen.subnet is None:
        return Minership((_unregistered(Reason.SUBNET_NOT_FOUND, f"Subnet {where} does not exist"), _UNSCORED))
    row = _row(seen.subnet, deployment.metadata.uid)
    if row is None:
        return Minership((_why_not(seen, seen.subnet, where), _UNSCORED))
    return Minership(
        verdicts=(
            yes("Registered", Reason.REGISTERED, _registration(seen, seen.subnet, row)),
            _scored(seen.subnet, row),
        ),
        membership=MinerMembership(subnet=str(where), uid=row.uid, registered_epoch=row.registered_epoch),
        consensus=_consensus(seen.subnet, row),
    )


_UNSCORED = no("Scored", Reason.NOT_REGISTERED, "the miner holds no number of the subnet")


def _unregistered(reason: Reason, message: str) -> Verdict:
    return no("Registered", reason, message)


def _row(subnet: Subnet, uid: str) -> MinerStatus | None:
    return next((row for row in subnet.status.miners if row.object_uid == uid), None)


def _why_not(seen: Snapshot, subnet: Subnet, where: NamespacedName) -> Verdict:
    namespace = seen.deployment.metadata.namespace
    if not admits(subnet, namespace, seen.namespace_labels):
        remedy = "ask its owner to widen spec.members.allowedNamespaces"
        return _unregistered(Reason.NOT_ALLOWED, f"Subnet {where} lets no miners of namespace {namespace} in; {remedy}")
    limit = miner_limit(subnet)
    if len(subnet.status.miners) >= limit:
        return _unregistered(Reason.SUBNET_FULL, f"Subnet {where} has its {limit} miners; one leaves at each epoch")
    return _unregistered(Reason.WAITING_FOR_EPOCH, f"Subnet {where} gives numbers when its next epoch opens")


def _registration(seen: Snapshot, subnet: Subnet, row: MinerStatus) -> str:
    held = f"UID {row.uid} since epoch {row.registered_epoch}"
    claimed, asked = seen.deployment.spec.model, subnet.spec.task.model
    if (claimed.name, claimed.version) == (asked.name, asked.version):
        return held
    return (
        f"{held}; spec.model: the subnet asks for {asked.name} version {asked.version}, not for {claimed.name} "
        f"version {claimed.version}: validators will find nothing to score"
    )


def _scored(subnet: Subnet, row: MinerStatus) -> Verdict:
    committed = subnet.status.committed
    if committed is None or row.registered_epoch > committed.number:
        return no("Scored", Reason.WAITING_FOR_EPOCH, f"epoch {row.registered_epoch} is the first that can score it")
    if not row.validators:
        return no("Scored", Reason.NO_REPORTS, f"no report of epoch {committed.number} counted for this miner")
    return yes("Scored", Reason.SCORED)


def _consensus(subnet: Subnet, row: MinerStatus) -> MinerConsensus | None:
    committed = subnet.status.committed
    if committed is None or row.registered_epoch > committed.number:
        return None
    return MinerConsensus(
        epoch=committed.number,
        weight=row.weight,
        incentive=row.incentive,
        emission=row.emission,
        score=row.score,
        validators=row.validators,
    )
