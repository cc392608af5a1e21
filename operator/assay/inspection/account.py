"""Why a miner has its weight: the last committed epoch, report by report.

Owns the words. Numbers come from the reports, from the engine's own explanation of the recomputed epoch, and from the
committed rows; where the two disagree, because something changed since the commit, that is said.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from assay.api import DEFAULT_METRIC, MinerStatus, Score, ValidatorPolicy, ValidatorStatus
from assay.consensus import EpochState, run_epoch
from assay.consensus.explanation import Vote, percent
from assay.consensus.explanation import explain as explain_uid
from assay.desired.bonds import NO_BONDS
from assay.inspection.market import Market
from assay.inspection.replay import ballots_in, roster_now
from assay.planning.commit import Ballot, engine_state
from assay.planning.membership import Roster

U16_MAX = 65_535


@dataclass(frozen=True)
class Opinion:
    """What one validator's report says about the miner, and what the consensus made of it."""

    validator: str
    uid: int
    stake: int
    report: str | None
    """`namespace/name` of the ScoreReport; None if none counts."""
    epoch: int | None
    weight: int | None
    """As reported, u16; None without a row for the miner."""
    quality_ppm: int | None
    samples: int | None
    failures: int | None
    latency_p50_us: int | None
    latency_p99_us: int | None
    active_stake: str
    """Share of the active stake."""
    share: str | None
    """Of its own weight that it gives to the miner."""
    counted: str | None
    """The same after clipping at the consensus."""
    note: str
    """Why it says what it says, or why it does not count."""


@dataclass(frozen=True)
class Account:
    """Everything that decided one miner's weight."""

    subnet: str
    miner: str
    uid: int
    epoch: int
    consensus: int
    incentive: int
    emission: int
    score: str | None
    why: str
    opinions: tuple[Opinion, ...]
    sentences: tuple[str, ...]


def account(market: Market, name: str) -> Account:
    """Explain the miner of this name, `namespace/name` or number. Raises NotFoundIn."""
    row = market.miner(name)
    committed = market.committed
    roster = _at_commit(roster_now(market), committed.number)
    ballots = ballots_in(market, roster, committed.number)
    votes, consensus = _votes(market, roster, ballots, row, committed.number)
    opinions = tuple(_opinion(market, one, ballots.get(one.uid), votes.get(one.uid), row) for one in roster.validators)
    return Account(
        subnet=str(market.subnet.metadata.namespaced_name),
        miner=f"{row.namespace}/{row.name}",
        uid=row.uid,
        epoch=committed.number,
        consensus=row.weight,
        incentive=row.incentive,
        emission=row.emission,
        score=row.score,
        why=why(market, row),
        opinions=opinions,
        sentences=tuple(_sentences(market, row, opinions, consensus)),
    )


def why(market: Market, row: MinerStatus) -> str:
    """In a few words, why the miner has its incentive."""
    committed = market.subnet.status.committed
    if committed is None or row.registered_epoch > committed.number:
        return f"new: scored first in epoch {row.registered_epoch}"
    ballots = ballots_in(market, roster_now(market), committed.number)
    seen = [(ballot, score) for ballot in ballots.values() if (score := _score(ballot, row.uid)) is not None]
    if not seen:
        return "no report of the committed epoch speaks of it"
    against = [score for _, score in seen if not score.weight]
    if not row.weight:
        silent = sum(score.samples > 0 and score.failures == score.samples for score in against)
        reason = "does not answer" if 2 * silent > len(against) else "answers are wrong"
        others = len(seen) - len(against)
        return f"{reason}, say {len(against)} of {len(seen)} validators" if others else reason
    slow = [score for ballot, score in seen if _is_slow(_policy_of(market, ballot), score)]
    flawed = [score for _, score in seen if 0 < score.quality_ppm < 1_000_000]
    if 2 * len(flawed) > len(seen):
        return f"answers are partly wrong, quality {row.score or 'unknown'}"
    if 2 * len(slow) > len(seen):
        fastest = min(score.latency_p50_us or 0 for score in slow)
        return f"answers are right but slow, {fastest / 1000:.0f} ms and more"
    return "answers are right and fast"


def _at_commit(roster: Roster, epoch: int) -> Roster:
    """Without those who joined after the epoch had opened: nobody was asked about them."""
    return Roster(
        tuple(row for row in roster.miners if row.registered_epoch <= epoch),
        tuple(row for row in roster.validators if row.registered_epoch <= epoch),
    )


def _votes(
    market: Market, roster: Roster, ballots: dict[int, Ballot], row: MinerStatus, epoch: int
) -> tuple[dict[int, Vote], int | None]:
    """The engine's view of each vote by the validator's UID, and the consensus; bonds do not matter for either."""
    state = EpochState.from_json(engine_state(market.subnet, roster, ballots, NO_BONDS, epoch))
    if row.uid >= state.n:
        return {}, None
    consensus = int(run_epoch(state).consensus_u16[row.uid])
    return {vote.validator: vote for vote in explain_uid(state, row.uid).votes}, consensus


def _opinion(
    market: Market, row: ValidatorStatus, ballot: Ballot | None, vote: Vote | None, miner: MinerStatus
) -> Opinion:
    score = _score(ballot, miner.uid) if ballot else None
    policy = market.policy(row)
    return Opinion(
        validator=f"{row.namespace}/{row.name}",
        uid=row.uid,
        stake=row.stake,
        report=str(ballot.report.metadata.namespaced_name) if ballot else None,
        epoch=ballot.epoch if ballot else None,
        weight=score.weight if score else None,
        quality_ppm=score.quality_ppm if score else None,
        samples=score.samples if score else None,
        failures=score.failures if score else None,
        latency_p50_us=score.latency_p50_us if score else None,
        latency_p99_us=score.latency_p99_us if score else None,
        active_stake=percent(vote.active_stake_raw) if vote else "",
        share=percent(vote.weight_raw) if vote else None,
        counted=percent(vote.counted_raw) if vote else None,
        note=_note(market, row, ballot, score, vote, policy),
    )


def _note(
    market: Market,
    row: ValidatorStatus,
    ballot: Ballot | None,
    score: Score | None,
    vote: Vote | None,
    policy: ValidatorPolicy | None,
) -> str:
    if not row.permit or not row.stake:
        return "does not count: no stake" if not row.stake else "does not count: no permit, others have more stake"
    if ballot is None:
        return _silence(market, row)
    if score is None:
        return "says nothing about this miner"
    if vote is not None and vote.dropped is not None:
        return f"does not count: {vote.dropped}"
    late = "" if ballot.epoch == market.committed.number else f"its last vote, of epoch {ballot.epoch}; "
    return late + _judgement(market, score, policy)


def _silence(market: Market, row: ValidatorStatus) -> str:
    epoch = market.committed.number
    here = f"{row.namespace}/{row.name}"
    for refused in market.subnet.status.rejected_reports:
        if (refused.epoch, refused.validator) == (epoch, here):
            return f"its report was rejected: {refused.reason}: {refused.message}"
    for report in market.reports.values():
        if report.spec.validator.uid == row.object_uid and report.spec.epoch == epoch and report.spec.failure:
            return f"could not score: {report.spec.failure.reason}"
    if row.last_report_epoch == epoch:
        return "its report of this epoch is no longer in the cluster"
    return f"did not report; last in epoch {row.last_report_epoch}" if row.last_report_epoch else "never reported"


def _judgement(market: Market, score: Score, policy: ValidatorPolicy | None) -> str:
    if score.samples == 0:
        return "asked nothing: no sample stands behind this weight"
    if score.samples and score.failures == score.samples:
        return f"all {score.samples} challenges failed"
    if score.quality_ppm == 0:
        return f"every answer is off by more than the tolerance{_tolerance(market, policy)}"
    parts = [f"{score.failures} of {score.samples} failed"] if score.failures else []
    if score.quality_ppm < 1_000_000:
        parts.append(f"quality {score.quality_ppm / 1_000_000:.6f}{_exponent(policy)}")
    if policy is not None and _is_slow(policy, score) and score.latency_p50_us:
        latency = policy.spec.scoring.latency
        factor = latency.target_ms * 1000 / score.latency_p50_us
        parts.append(
            f"p50 {score.latency_p50_us / 1000:.0f} ms is over the target of {latency.target_ms} ms:"
            f" {latency.weight_percent} % of the score is multiplied by {factor:.3f}"
        )
    return ", ".join(parts) or "nothing to object"


def _tolerance(market: Market, policy: ValidatorPolicy | None) -> str:
    if policy is None:
        return ""
    comparison = policy.spec.scoring.comparison
    metric = comparison.metric if comparison else DEFAULT_METRIC[market.subnet.spec.task.kind]
    return f" ({metric}, {comparison.tolerance})" if comparison else f" ({metric})"


def _exponent(policy: ValidatorPolicy | None) -> str:
    return f" to the power of {policy.spec.scoring.exponent}" if policy and policy.spec.scoring.exponent != 1 else ""


def _sentences(market: Market, row: MinerStatus, opinions: tuple[Opinion, ...], consensus: int | None) -> Iterable[str]:
    epoch = market.committed.number
    name = f"{row.namespace}/{row.name}"
    if row.registered_epoch > epoch:
        yield f"{name} joined after epoch {epoch} had opened; epoch {row.registered_epoch} is the first that scores it."
        return
    score = f", score {row.score} by {row.validators} validators" if row.score is not None else ""
    yield f"{name} is UID {row.uid}, a member since epoch {row.registered_epoch}{score}: {why(market, row)}."
    counted = [one for one in opinions if one.share is not None]
    cut = [one for one in counted if one.share != one.counted]
    kappa = market.subnet.spec.consensus.kappa
    if counted:
        yield (
            f"Its consensus weight is {_share(row.weight)}: the most that validators with at least"
            f" {_share(kappa)} of the active stake (kappa {kappa}) give it."
        )
    for one in cut:
        yield f"{one.validator} gives it {one.share}, cut to {one.counted}: nothing is paid above the consensus."
    yield f"Its incentive is {_share(row.incentive)} of what miners earn: {row.emission} units for epoch {epoch}."
    if consensus is not None and consensus != row.weight:
        yield (
            f"The objects now in the cluster give a consensus weight of {_share(consensus)}, not the committed"
            f" {_share(row.weight)}: stakes, parameters or reports changed since; `assay replay` says which."
        )


def _share(u16: int) -> str:
    return f"{u16 / U16_MAX * 100:.2f} %"


def _score(ballot: Ballot, uid: int) -> Score | None:
    return next((score for score in ballot.report.spec.scores if score.uid == uid), None)


def _policy_of(market: Market, ballot: Ballot) -> ValidatorPolicy | None:
    uid = ballot.report.spec.validator.uid
    return next((policy for policy in market.policies.values() if policy.metadata.uid == uid), None)


def _is_slow(policy: ValidatorPolicy | None, score: Score) -> bool:
    if policy is None or score.latency_p50_us is None:
        return False
    latency = policy.spec.scoring.latency
    return latency.weight_percent > 0 and score.latency_p50_us > 1000 * latency.target_ms
