"""One epoch's commit: reports and bonds in, rows and digests out.

Owns the translation between a subnet's world (objects, epochs, holders) and the engine's (UIDs, blocks). An epoch is
one block. Everything that goes in is in the cluster for anyone to see, and the digests say which: who has the reports
and the bonds can recompute the commit to the last unit.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from assay.api import (
    BondChunk,
    CommittedEpoch,
    ReportCounts,
    ScoreReport,
    Subnet,
    to_wire,
)
from assay.consensus import EpochResult, EpochState, payouts, run_epoch, vec_max_upscale_to_u16
from assay.desired.bonds import Bonds, Chunk, Holder, split
from assay.planning.conditions import timestamp
from assay.planning.membership import Roster
from assay.planning.reports import Judged, expected_name, json_digest, report_digest

U16_MAX = 65535
SCORE_SCALE = 1_000_000


@dataclass(frozen=True)
class Ballot:
    """What one validator's vote in an epoch is: the report it stems from, which may be of an earlier epoch."""

    epoch: int
    report: ScoreReport


@dataclass(frozen=True)
class Commit:
    """What an epoch's commit writes: chunks first, then the rest in one status."""

    committed: CommittedEpoch
    roster: Roster
    chunks: tuple[Chunk, ...]


def close_epoch(
    subnet: Subnet,
    roster: Roster,
    judged: Judged,
    earlier: Mapping[str, ScoreReport],
    bonds: Bonds,
    *,
    epoch: int,
    now: datetime,
) -> Commit:
    """Run the epoch's consensus.

    Args:
        subnet: its spec has the parameters.
        roster: who holds which UID, with what the last commit gave them.
        judged: the reports of this epoch.
        earlier: reports of earlier epochs by `namespace/name`; a validator without a report keeps its last vote.
        bonds: as the last commit left them.
        epoch: its number.
        now: the moment of the commit.
    """
    ballots = _ballots(subnet, roster, judged, earlier, epoch)
    state = engine_state(subnet, roster, ballots, bonds, epoch)
    result = run_epoch(EpochState.from_json(state))
    rows = _rows(subnet, roster, judged, ballots, result)
    chunks = _chunks(subnet, roster, result, epoch)
    committed = CommittedEpoch(
        number=epoch,
        committed_at=timestamp(now),
        reports=ReportCounts(
            expected=sum(row.permit and row.stake > 0 and row.registered_epoch <= epoch for row in roster.validators),
            received=len(judged.accepted),
            rejected=sum(rejected.epoch == epoch for rejected in judged.rejected),
        ),
        inputs_digest=json_digest(
            {"previous": _previous_digest(subnet), "reports": _report_digests(ballots), "state": state}
        ),
        state_digest=json_digest({"epoch": epoch, "rows": _wire(rows), "bonds": [chunk.sha256 for chunk in chunks]}),
        bonds=tuple(BondChunk(name=chunk.name, sha256=chunk.sha256) for chunk in chunks),
    )
    return Commit(committed, rows, chunks)


def recomputed_chunks(
    subnet: Subnet, reports: Mapping[str, ScoreReport], bonds: Bonds, committed: CommittedEpoch
) -> tuple[Chunk, ...] | None:
    """The bonds of the last commit, recomputed from the bonds before it and the reports; None if they differ.

    The rows of the status tell which vote of each validator was counted. Should stakes or members have changed since,
    the recomputation gives other bytes, which the digests in the commit show.
    """
    roster = Roster(subnet.status.miners, subnet.status.validators)
    epoch = committed.number
    ballots = _ballots(subnet, roster, Judged({}, ()), reports, epoch)
    result = run_epoch(EpochState.from_json(engine_state(subnet, roster, ballots, bonds, epoch)))
    chunks = _chunks(subnet, roster, result, epoch)
    same = [chunk.sha256 for chunk in chunks] == [chunk.sha256 for chunk in committed.bonds]
    return chunks if same else None


def holders(roster: Roster) -> tuple[Holder, ...]:
    """Everyone on the roster as bonds know them."""
    rows = sorted(roster.rows, key=lambda row: row.uid)
    return tuple(Holder(row.uid, row.object_uid, row.registered_epoch) for row in rows)


def engine_state(
    subnet: Subnet, roster: Roster, ballots: Mapping[int, Ballot], bonds: Bonds, epoch: int
) -> dict[str, Any]:
    """The engine's input, in the keys of the chain's test vectors; see `EpochState.from_json`.

    Blocks are epochs, moved up so far that a validator without any vote can be given a last update beyond the cutoff:
    its stake then does not count, where on the chain it would vote zero for everyone.
    """
    consensus, alpha = subnet.spec.consensus, subnet.spec.consensus.liquid_alpha
    offset = consensus.activity_cutoff_epochs + 2
    now = epoch + offset
    size = 1 + max(roster.uids, default=-1)
    votes = {uid: _vote(ballot) for uid, ballot in ballots.items()}
    old_bonds = bonds.between(holders(roster))
    return {
        "n": size,
        "current_block": now,
        "tempo": 1,
        "activity_cutoff_blocks": consensus.activity_cutoff_epochs,
        # Every epoch that opened is committed, so the epoch before this one is the last step; before the first is none.
        "last_step_block": now - 1 if epoch > 1 else 0,
        "last_tempo_for_bond_mask": now if epoch > 1 else now - 1,
        "stake": _column(size, {row.uid: row.stake for row in roster.validators}, 0),
        "stake_threshold": 0,
        "owner_uid": None,
        "validator_permits": _column(size, {row.uid: row.permit for row in roster.validators}, False),
        "max_allowed_validators": consensus.max_validators,
        "last_update": _column(size, {uid: ballot.epoch + offset for uid, ballot in ballots.items()}, 0),
        "block_at_registration": _column(
            size, {holder.uid: holder.registered_epoch - 1 + offset for holder in holders(roster)}, 0
        ),
        "weights_u16": [sorted([uid, value] for uid, value in votes.get(row, {}).items()) for row in range(size)],
        "bonds_u16": [sorted([uid, value] for uid, value in old_bonds.get(row, {}).items()) for row in range(size)],
        "kappa_u16": consensus.kappa,
        "bonds_penalty_u16": consensus.bonds_penalty,
        "bonds_moving_average": consensus.bonds_moving_average,
        "yuma3_on": consensus.algorithm == "Yuma3",
        "liquid_alpha_on": alpha.enabled,
        "alpha_low_u16": alpha.low,
        "alpha_high_u16": alpha.high,
        "alpha_sigmoid_steepness": alpha.steepness,
        "liquid_alpha_consensus_mode": alpha.consensus_source,
        "previous_consensus_u16": _column(size, {row.uid: row.weight for row in roster.miners}, 0),
        "commit_reveal_on": False,
        "commit_blocks": [None] * size,
        "rao_emission": subnet.spec.emission.per_epoch - owner_cut(subnet),
    }


def owner_cut(subnet: Subnet) -> int:
    """The owner's units of an epoch's emission, floored; the rest goes to miners and validators."""
    return subnet.spec.emission.per_epoch * subnet.spec.emission.owner_cut // U16_MAX


def _ballots(
    subnet: Subnet, roster: Roster, judged: Judged, earlier: Mapping[str, ScoreReport], epoch: int
) -> dict[int, Ballot]:
    """Each validator's vote: this epoch's report, else its last one while that is within the activity cutoff."""
    ballots: dict[int, Ballot] = {}
    for row in roster.validators:
        report = judged.accepted.get(row.uid)
        if report is not None and report.spec.failure is None:
            ballots[row.uid] = Ballot(epoch, report)
        elif row.last_report_epoch and epoch - row.last_report_epoch <= subnet.spec.consensus.activity_cutoff_epochs:
            last = earlier.get(f"{row.namespace}/{expected_name(subnet, row, row.last_report_epoch)}")
            if last is not None:
                ballots[row.uid] = Ballot(row.last_report_epoch, last)
    return ballots


def _vote(ballot: Ballot) -> dict[int, int]:
    """The weights as the chain stores them: scaled so that the largest is 65535; explicit zeros stay."""
    scores = ballot.report.spec.scores
    scaled = vec_max_upscale_to_u16([score.weight for score in scores])
    return {score.uid: int(weight) for score, weight in zip(scores, scaled, strict=True)}


def _rows(subnet: Subnet, roster: Roster, judged: Judged, ballots: Mapping[int, Ballot], result: EpochResult) -> Roster:
    paid = payouts(result, subnet.spec.emission.per_epoch - owner_cut(subnet))
    stakes = {row.uid: row.stake for row in roster.validators}
    fresh = {uid: report for uid, report in judged.accepted.items() if report.spec.failure is None}
    miners = [
        row.model_copy(
            update={
                "weight": int(result.consensus_u16[row.uid]),
                "incentive": int(result.incentive_u16[row.uid]),
                "emission": paid[row.uid],
                **_quality(row.uid, fresh, stakes),
            }
        )
        for row in roster.miners
    ]
    validators = [
        row.model_copy(
            update={
                "trust": int(result.validator_trust_u16[row.uid]),
                "dividends": int(result.dividends_u16[row.uid]),
                "emission": paid[row.uid],
                "last_report_epoch": ballots[row.uid].epoch if row.uid in ballots else row.last_report_epoch,
            }
        )
        for row in roster.validators
    ]
    return Roster(tuple(miners), tuple(validators))


def _quality(uid: int, reports: Mapping[int, ScoreReport], stakes: Mapping[int, int]) -> dict[str, Any]:
    """A miner's score: the stake-weighted lower median of the qualities measured, so that no minority can move it."""
    measured = sorted(
        (score.quality_ppm, stakes[validator])
        for validator, report in reports.items()
        for score in report.spec.scores
        if score.uid == uid and stakes[validator] > 0
    )
    if not measured:
        return {"score": None, "validators": 0}
    half = sum(stake for _, stake in measured) / 2
    below = 0
    for quality_ppm, stake in measured:
        below += stake
        if below >= half:
            return {"score": f"{quality_ppm / SCORE_SCALE:.6f}", "validators": len(measured)}
    raise AssertionError("the stakes add up to more than their half")


def _chunks(subnet: Subnet, roster: Roster, result: EpochResult, epoch: int) -> tuple[Chunk, ...]:
    rows = {uid: row for uid, row in enumerate(_dense(result)) if row}
    return split(Bonds(epoch, holders(roster), rows), subnet)


def _dense(result: EpochResult) -> list[dict[int, int]]:
    return [{int(uid): int(value) for uid, value in row} for row in result.bonds.to_lists()]


def _column(size: int, values: Mapping[int, Any], default: Any) -> list[Any]:  # noqa: ANN401 - ints or bools
    return [values.get(uid, default) for uid in range(size)]


def _report_digests(ballots: Mapping[int, Ballot]) -> list[list[Any]]:
    return [[uid, ballot.epoch, report_digest(ballot.report)] for uid, ballot in sorted(ballots.items())]


def _previous_digest(subnet: Subnet) -> str:
    return subnet.status.committed.state_digest if subnet.status.committed else ""


def _wire(roster: Roster) -> dict[str, Any]:
    return {
        "miners": [to_wire(row) for row in roster.miners],
        "validators": [to_wire(row) for row in roster.validators],
    }
