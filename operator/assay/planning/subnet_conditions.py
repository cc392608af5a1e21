"""A Subnet's conditions and their reasons: a closed set, told from a draft."""

from datetime import datetime
from enum import StrEnum

from assay.api import NamespacedName
from assay.planning.conditions import Verdict, conjunction, no, timestamp, yes
from assay.planning.subnet_draft import Draft, Snapshot, permitted, ready_miners


class SubnetReason(StrEnum):
    """Why a Subnet's condition holds or does not."""

    SUBNET_READY = "SubnetReady"
    NO_MINERS = "NoMiners"
    MINERS_NOT_READY = "MinersNotReady"
    MINERS_READY = "MinersReady"
    NO_VALIDATORS = "NoValidators"
    VALIDATOR_MISSING = "ValidatorMissing"
    VALIDATORS_READY = "ValidatorsReady"
    SUSPENDED = "Suspended"
    WAITING_FOR_MEMBERS = "WaitingForMembers"
    EPOCH_LATE = "EpochLate"
    EPOCHS_ADVANCE = "EpochsAdvance"
    NEVER_COMMITTED = "NeverCommitted"
    BONDS_LOST = "BondsLost"
    NO_REPORTS = "NoReports"
    CONSENSUS_FRESH = "ConsensusFresh"


def verdicts(seen: Snapshot, draft: Draft, now: datetime) -> list[Verdict]:
    """Ready, MinersReady, ValidatorsReady, EpochAdvancing, ConsensusFresh, in this order."""
    parts = [_minersready_miners(seen, draft), _validatorsready_miners(seen, draft), _advancing(seen, draft, now)]
    return [conjunction("Ready", parts, SubnetReason.SUBNET_READY), *parts, _fresh(draft)]


def _minersready_miners(seen: Snapshot, draft: Draft) -> Verdict:
    miners, ready = draft.roster.miners, ready_miners(seen, draft)
    if not miners:
        return no(
            "MinersReady",
            SubnetReason.NO_MINERS,
            "no ModelDeployment that names this subnet is allowed in; see spec.members",
        )
    waiting = sorted(f"{row.namespace}/{row.name}" for row in miners if row.object_uid not in ready)
    if not ready:
        return no(
            "MinersReady", SubnetReason.MINERS_NOT_READY, f"none of {len(miners)} miners is ready: {_some(waiting)}"
        )
    rest = f"; not ready: {_some(waiting)}" if waiting else ""
    return yes("MinersReady", SubnetReason.MINERS_READY, f"{len(ready)} of {len(miners)} miners are ready{rest}")


def _validatorsready_miners(seen: Snapshot, draft: Draft) -> Verdict:
    entered = {NamespacedName(row.namespace, row.name) for row in draft.roster.validators}
    listed = [entry.policy_ref.namespaced_name for entry in seen.subnet.spec.validators]
    if not listed:
        return no(
            "ValidatorsReady",
            SubnetReason.NO_VALIDATORS,
            "spec.validators is empty; list ValidatorPolicies with their stake",
        )
    missing = [name for name in listed if name not in entered]
    absent = _some([str(name) for name in missing if name not in seen.policies])
    elsewhere = _some([str(name) for name in missing if name in seen.policies])
    text = "; ".join(
        part
        for part in (
            f"no such ValidatorPolicy: {absent}" if absent else "",
            f"spec.subnetRef names another subnet: {elsewhere}" if elsewhere else "",
        )
        if part
    )
    if not permitted(draft.roster):
        return no(
            "ValidatorsReady", SubnetReason.NO_VALIDATORS, text or "no validator has stake; give it in spec.validators"
        )
    if missing:
        return no("ValidatorsReady", SubnetReason.VALIDATOR_MISSING, text)
    return yes("ValidatorsReady", SubnetReason.VALIDATORS_READY, f"{len(entered)} validators")


def _advancing(seen: Snapshot, draft: Draft, now: datetime) -> Verdict:
    spec, epoch = seen.subnet.spec, draft.epoch
    if spec.suspend:
        return no("EpochAdvancing", SubnetReason.SUSPENDED, "spec.suspend is true; no epoch opens until it is false")
    if epoch.number == 0:
        return no(
            "EpochAdvancing",
            SubnetReason.WAITING_FOR_MEMBERS,
            "the first epoch opens with the first miner and validator",
        )
    late_s = (now - epoch.ends_at).total_seconds() if epoch.ends_at else 0
    if late_s > spec.epoch.length_s:
        return no(
            "EpochAdvancing",
            SubnetReason.EPOCH_LATE,
            f"epoch {epoch.number} ended at {timestamp(epoch.ends_at or now)}",
        )
    return yes("EpochAdvancing", SubnetReason.EPOCHS_ADVANCE)


def _fresh(draft: Draft) -> Verdict:
    committed = draft.committed
    if committed is None:
        return no("ConsensusFresh", SubnetReason.NEVER_COMMITTED, "no epoch was committed yet")
    if draft.bonds is None:
        return no(
            "ConsensusFresh",
            SubnetReason.BONDS_LOST,
            "the stored bonds are gone or altered; bonds start anew from zero",
        )
    if committed.reports.received == 0:
        return no(
            "ConsensusFresh",
            SubnetReason.NO_REPORTS,
            f"epoch {committed.number} had no report; see the ValidatorPolicies",
        )
    return yes("ConsensusFresh", SubnetReason.CONSENSUS_FRESH)


def _some(names: list[str], limit: int = 5) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
