"""Why a uid got what it got: the same epoch, told vote by vote.

Owns: `explain`. Must never compute a number of its own: all come from the trace of the epoch, only the reasons for
dropped votes are looked up again. Raws are given as percentages for people; the exact numbers stand in the fields.
"""

from dataclasses import dataclass

from assay.consensus.epoch import EpochTrace, trace_epoch
from assay.consensus.numbers import HALF
from assay.consensus.state import EpochState


@dataclass(frozen=True)
class Vote:
    """What one validator says about the explained uid. Raws are I32F32 bit patterns."""

    validator: int
    active_stake_raw: int
    stored_u16: int
    weight_raw: int
    """After masks, as a share of the validator's row."""
    counted_raw: int
    """After clipping at the consensus."""
    dropped: str | None
    """Why the vote does not count, None if it does."""


@dataclass(frozen=True)
class Holding:
    """A bond of the explained uid, and the share of it among all bonds to that miner."""

    miner: int
    bond_raw: int
    share_raw: int
    miner_incentive_raw: int


@dataclass(frozen=True)
class Explanation:
    """All that decided the payment of one uid in one epoch."""

    uid: int
    votes: tuple[Vote, ...]
    holdings: tuple[Holding, ...]
    sentences: tuple[str, ...]
    """In the order of the epoch."""


def explain(state: EpochState, uid: int) -> Explanation:
    """The epoch of `state` as `uid` sees it; raises ValueError if there is no such uid."""
    if not 0 <= uid < state.n:
        raise ValueError(f"uid {uid}: the state has uids 0 to {state.n - 1}")
    trace = trace_epoch(state)
    votes = _votes(state, trace, uid)
    holdings = _holdings(trace, uid)
    told = (
        _standing(state, trace, uid)
        + _as_miner(state, trace, uid, votes)
        + _as_validator(state, trace, uid, holdings)
        + _payment(state, trace, uid)
    )
    return Explanation(uid, votes, holdings, tuple(told))


def percent(raw: int) -> str:
    """An I32F32 raw as a percentage with two decimals, rounded half up."""
    hundredths = (raw * 10_000 + HALF) >> 32
    return f"{hundredths // 100}.{hundredths % 100:02d} %"


def _votes(state: EpochState, trace: EpochTrace, uid: int) -> tuple[Vote, ...]:
    row_of = {int(row): k for k, row in enumerate(trace.uids)}
    votes = []
    for entry in (state.weights.columns == uid).nonzero()[0].tolist():
        validator = int(state.weights.offsets.searchsorted(entry, side="right")) - 1
        dropped = _reason_to_drop(state, trace, validator, uid)
        k = row_of.get(validator)
        counts = dropped is None and k is not None
        votes.append(
            Vote(
                validator,
                int(trace.result.active_stake_raw[validator]),
                int(state.weights.values[entry]),
                int(trace.weights[k, uid]) if counts else 0,
                int(trace.clipped_weights[k, uid]) if counts else 0,
                dropped,
            )
        )
    return tuple(sorted(votes, key=lambda vote: (-vote.active_stake_raw, vote.validator)))


def _reason_to_drop(state: EpochState, trace: EpochTrace, validator: int, uid: int) -> str | None:
    """The first mask of section 3.5 that takes the vote out."""
    updated = int(state.last_update[validator]) if validator < len(state.last_update) else 0
    registered, committed = int(state.block_at_registration[uid]), int(state.commit_blocks[validator])
    if validator >= len(trace.permits) or not trace.permits[validator]:
        return f"validator {validator} has no permit"
    if validator == uid and validator != state.owner_uid:
        return "a vote for oneself does not count"
    if updated <= registered:
        return f"set in block {updated}, not after uid {uid} was registered in block {registered}"
    if state.hyperparameters.commit_reveal_on and committed < registered:
        return f"committed in block {committed}, before uid {uid} was registered in block {registered}"
    return None


def _holdings(trace: EpochTrace, uid: int) -> tuple[Holding, ...]:
    bonds = trace.result.ema_bonds
    sums: dict[int, int] = {}
    for miner, bond in zip(bonds.columns.tolist(), bonds.values.tolist(), strict=True):
        sums[miner] = sums.get(miner, 0) + bond
    held = [
        Holding(miner, bond, (bond << 32) // sums[miner], int(trace.result.incentive_raw[miner]))
        for miner, bond in bonds.row(uid).items()
    ]
    return tuple(sorted(held, key=lambda holding: (-holding.share_raw * holding.miner_incentive_raw, holding.miner)))


def _standing(state: EpochState, trace: EpochTrace, uid: int) -> list[str]:
    result, settings = trace.result, state.hyperparameters
    share = percent(int(result.normalised_stake_raw[uid]))
    told = [f"uid {uid} has {state.stake[uid]} of stake, {share} of all that counts."]
    if state.stake[uid] < settings.stake_threshold and uid != state.owner_uid:
        told.append(f"That is below the threshold of {settings.stake_threshold}, so it counts as none.")
    if uid == state.owner_uid:
        told.append("It is the subnet owner: its stake, its permit and its vote for itself always count.")
    has_permit = uid < len(trace.permits) and bool(trace.permits[uid])
    if has_permit and result.active[uid]:
        told.append(f"It is an active validator with {percent(int(result.active_stake_raw[uid]))} of the active stake.")
    elif has_permit:
        told.append(
            f"It has a validator permit but has not set weights for more than {settings.activity_cutoff_blocks} blocks,"
            " so its stake is inactive."
        )
    changes = bool(result.new_validator_permits[uid])
    if changes != has_permit:
        told.append(f"From the next epoch on it has {'a' if changes else 'no'} validator permit.")
    return told


def _as_miner(state: EpochState, trace: EpochTrace, uid: int, votes: tuple[Vote, ...]) -> list[str]:
    result = trace.result
    consensus = int(result.consensus_raw[uid])
    if not votes:
        return ["No validator has a weight for it, so it earns nothing as a miner."]
    backing = sum(
        vote.active_stake_raw for vote in votes if vote.dropped is None and vote.weight_raw >= max(consensus, 1)
    )
    kappa = percent((state.hyperparameters.kappa_u16 << 32) // 65535)
    told = []
    for vote in votes:
        if vote.dropped is not None:
            told.append(f"Validator {vote.validator}'s weight of {vote.stored_u16} does not count: {vote.dropped}.")
            continue
        line = (
            f"Validator {vote.validator} ({percent(vote.active_stake_raw)} of the active stake) gives it"
            f" {percent(vote.weight_raw)} of its weight"
        )
        told.append(line + (f", cut to {percent(vote.counted_raw)}." if vote.counted_raw < vote.weight_raw else "."))
    much = "at least that much" if consensus else "it any weight"
    told.append(
        f"The consensus is {percent(consensus)}: validators with {percent(backing)} of the active stake give {much}"
        f" (needed: {kappa})."
    )
    told.append(f"Its share of what miners earn is {percent(int(result.incentive_raw[uid]))} (incentive).")
    return told


def _as_validator(state: EpochState, trace: EpochTrace, uid: int, holdings: tuple[Holding, ...]) -> list[str]:
    result = trace.result
    told = []
    if result.validator_trust_raw[uid]:
        told.append(
            f"{percent(int(result.validator_trust_raw[uid]))} of its own weight is within the consensus (trust)."
        )
    told += [
        f"It holds {percent(holding.share_raw)} of the bonds to miner {holding.miner},"
        f" who has {percent(holding.miner_incentive_raw)} of the incentive."
        for holding in holdings[:10]
    ]
    if len(holdings) > 10:
        told.append(f"{len(holdings) - 10} more bonds earn it less than each of these.")
    if result.dividends_raw[uid]:
        told.append(f"Its share of what validators earn is {percent(int(result.dividends_raw[uid]))} (dividends).")
    elif holdings and not result.active_stake_raw[uid]:
        told.append("Without active stake its bonds earn nothing.")
    return told


def _payment(state: EpochState, trace: EpochTrace, uid: int) -> list[str]:
    result = trace.result
    told = []
    if not (result.incentive_raw.any() or result.dividends_raw.any()):
        by = "active stake" if result.active_stake_raw.any() else "stake"
        told.append(f"No vote counted in this epoch, so everything is paid by {by}, as to validators.")
    told.append(
        f"Of {state.rao_emission} units it is paid {int(result.server_emission[uid])} as a miner and"
        f" {int(result.validator_emission[uid])} as a validator, {int(result.combined_emission[uid])} in all."
    )
    return told
