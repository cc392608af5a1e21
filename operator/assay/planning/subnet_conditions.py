"""A Subnet's conditions and their reasons: a closed set, told from a draft.

`docs/reference/conditions.md` is rendered from the texts here; a reason that is not in the set cannot be reported.
"""

from datetime import datetime
from enum import StrEnum
from typing import Final

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
    INVALID_SPEC = "InvalidSpec"
    REFUSED = "Refused"


MEANINGS: Final[dict[SubnetReason, str]] = {
    SubnetReason.SUBNET_READY: "Miners and validators are there, and epochs advance.",
    SubnetReason.NO_MINERS: "No ModelDeployment that names this subnet may join it.",
    SubnetReason.MINERS_NOT_READY: "There are miners, and none of them can be asked now.",
    SubnetReason.MINERS_READY: "At least one miner can be asked; the message counts them and names the others.",
    SubnetReason.NO_VALIDATORS: "No validator's report would count: none is listed, none exists, or none has stake.",
    SubnetReason.VALIDATOR_MISSING: "A listed ValidatorPolicy does not exist, or names another subnet; the rest judge.",
    SubnetReason.VALIDATORS_READY: "Every listed validator is registered, and at least one has stake.",
    SubnetReason.SUSPENDED: "`spec.suspend` is true: the open epoch is finished, and no other opens.",
    SubnetReason.WAITING_FOR_MEMBERS: "No epoch has opened yet: one miner and one validator with stake are needed.",
    SubnetReason.EPOCH_LATE: "The last epoch ended more than one epoch length ago, and the next has not opened.",
    SubnetReason.EPOCHS_ADVANCE: "Epochs open and are committed on time.",
    SubnetReason.NEVER_COMMITTED: "No epoch has been committed yet; the first is when its reports are in.",
    SubnetReason.BONDS_LOST: "The bonds of the last commit are gone or altered and cannot be recomputed.",
    SubnetReason.NO_REPORTS: "The last epoch was committed without any report: earlier votes, or none, decided it.",
    SubnetReason.CONSENSUS_FRESH: "The last epoch had reports of its own, and its bonds are kept.",
    SubnetReason.INVALID_SPEC: "The object cannot be read as the kind it claims to be; the message names the field.",
    SubnetReason.REFUSED: "The API server refuses an object that the subnet needs; the message has its words.",
}

REMEDIES: Final[dict[SubnetReason, str]] = {
    SubnetReason.NO_MINERS: "Create one with `spec.subnetRef`, or widen `spec.members.allowedNamespaces`.",
    SubnetReason.MINERS_NOT_READY: "See the Ready condition of the ModelDeployments that the message names.",
    SubnetReason.NO_VALIDATORS: "List ValidatorPolicies in `spec.validators`, with a stake above 0.",
    SubnetReason.VALIDATOR_MISSING: "Create the policy, correct its `spec.subnetRef`, or take it off the list.",
    SubnetReason.SUSPENDED: "Set `spec.suspend` to false.",
    SubnetReason.WAITING_FOR_MEMBERS: "See MinersReady and ValidatorsReady.",
    SubnetReason.EPOCH_LATE: "See whether members are left; if they are, see whether the operator runs and leads.",
    SubnetReason.BONDS_LOST: "Nothing to be done: bonds grow anew from zero. Find out who deletes ConfigMaps.",
    SubnetReason.NO_REPORTS: "See the Scoring condition of the ValidatorPolicies, and `status.rejectedReports`.",
    SubnetReason.INVALID_SPEC: "Correct the field. If kubectl accepted it, the CRDs are older than the operator.",
    SubnetReason.REFUSED: "Remove what forbids it: a quota, an admission policy, missing rights of the operator.",
}
"""What to do, for every reason that asks for something."""

CONDITIONS: Final[dict[str, str]] = {
    "Ready": "MinersReady, ValidatorsReady and EpochAdvancing all hold.",
    "MinersReady": "At least one registered miner can be asked now.",
    "ValidatorsReady": "All listed validators are registered, and at least one has stake.",
    "EpochAdvancing": "Epochs open on time.",
    "ConsensusFresh": "The last epoch had at least one report of its own, and its bonds are kept.",
}
"""The condition types of a Subnet in the order in which they are written."""


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
