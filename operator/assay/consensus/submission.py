"""Setting weights: what may be submitted, and what is stored.

Owns: section 5.1 of the specification, the checks in the chain's order with the chain's error names, and the upscaling
of a weight vector to its maximum. Must never touch storage: the caller keeps the rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from assay.consensus.numbers import HALF, I32F32_MAX, I32F32_MIN, ONE, U16_MAX

_UPSCALE_THRESHOLD: Final = 32768 * ONE


class Refusal(StrEnum):
    """Why a weight vector is not accepted; the chain's error names."""

    WEIGHT_VEC_NOT_EQUAL_SIZE = "WeightVecNotEqualSize"
    UIDS_LENGTH_EXCEED_UIDS_IN_SUBNET = "UidsLengthExceedUidsInSubNet"
    HOTKEY_NOT_REGISTERED_IN_SUBNET = "HotKeyNotRegisteredInSubNet"
    NOT_ENOUGH_STAKE_TO_SET_WEIGHTS = "NotEnoughStakeToSetWeights"
    INCORRECT_WEIGHT_VERSION_KEY = "IncorrectWeightVersionKey"
    SETTING_WEIGHTS_TOO_FAST = "SettingWeightsTooFast"
    NEURON_NO_VALIDATOR_PERMIT = "NeuronNoValidatorPermit"
    DUPLICATE_UIDS = "DuplicateUids"
    UID_VEC_CONTAIN_INVALID_ONE = "UidVecContainInvalidOne"
    WEIGHT_VEC_LENGTH_IS_LOW = "WeightVecLengthIsLow"
    MAX_WEIGHT_EXCEEDED = "MaxWeightExceeded"


@dataclass(frozen=True, kw_only=True)
class WeightRules:
    """The subnet's settings that decide on a submission; defaults are those of a new subnet."""

    n: int
    """Number of uids."""
    owner_uid: int | None = None
    stake_threshold: int = 0
    version_key: int = 0
    rate_limit_blocks: int = 100
    commit_reveal_on: bool = True
    """Then the rate limit holds for the commit, not for the weights."""
    min_allowed_weights: int = 1
    max_weight_u16: int = U16_MAX


@dataclass(frozen=True, kw_only=True)
class Submission:
    """Weights that validator `uid` wants to set at `block`."""

    uid: int | None
    """None if the sender is not registered."""
    uids: Sequence[int]
    values: Sequence[int]
    """u16, beside `uids`."""
    stake: int
    has_permit: bool
    version_key: int = 0
    block: int
    last_update: int
    """0 if never."""


def submit_weights(submission: Submission, rules: WeightRules) -> dict[int, int] | Refusal:
    """The row to be stored (uid -> u16 with maximum 65535, zeros and order kept), or why there is none.

    The first reason in the chain's order is given.
    """
    refusal = _refusal_of_sender(submission, rules) or _refusal_of_vector(submission, rules)
    if refusal is not None:
        return refusal
    stored = upscaled_to_max(submission.values)
    if not is_max_limited(stored, rules.max_weight_u16) and not _is_self_weight(submission):
        return Refusal.MAX_WEIGHT_EXCEEDED
    return dict(zip(submission.uids, stored, strict=True))


def _refusal_of_sender(submission: Submission, rules: WeightRules) -> Refusal | None:
    is_owner = submission.uid is not None and submission.uid == rules.owner_uid
    waited = submission.block - submission.last_update
    if len(submission.uids) != len(submission.values):
        return Refusal.WEIGHT_VEC_NOT_EQUAL_SIZE
    if len(submission.uids) > rules.n:
        return Refusal.UIDS_LENGTH_EXCEED_UIDS_IN_SUBNET
    if submission.uid is None or not 0 <= submission.uid < rules.n:
        return Refusal.HOTKEY_NOT_REGISTERED_IN_SUBNET
    if submission.stake < rules.stake_threshold and not is_owner:
        return Refusal.NOT_ENOUGH_STAKE_TO_SET_WEIGHTS
    if submission.version_key < rules.version_key:
        return Refusal.INCORRECT_WEIGHT_VERSION_KEY
    if not rules.commit_reveal_on and submission.last_update and waited < rules.rate_limit_blocks:
        return Refusal.SETTING_WEIGHTS_TOO_FAST
    if not (submission.has_permit or is_owner or _is_self_weight(submission)):
        return Refusal.NEURON_NO_VALIDATOR_PERMIT
    return None


def _refusal_of_vector(submission: Submission, rules: WeightRules) -> Refusal | None:
    if len(set(submission.uids)) != len(submission.uids):
        return Refusal.DUPLICATE_UIDS
    if any(not 0 <= uid < rules.n for uid in submission.uids):
        return Refusal.UID_VEC_CONTAIN_INVALID_ONE
    if len(submission.uids) < min(rules.n, rules.min_allowed_weights) and not _is_self_weight(submission):
        return Refusal.WEIGHT_VEC_LENGTH_IS_LOW
    return None


def _is_self_weight(submission: Submission) -> bool:
    return len(submission.uids) == 1 and submission.uids[0] == submission.uid


def upscaled_to_max(values: Sequence[int]) -> list[int]:
    """u16 weights scaled so that the largest is 65535: what `set_weights` stores. All zero stays zero."""
    return max_upscale_to_u16([value << 32 for value in values])


def max_upscale_to_u16(raws: Sequence[int]) -> list[int]:
    """I32F32 raws >= 0 scaled so that the largest becomes 65535, rounded half away from zero: `vec_max_upscale_to_u16`.

    Up to 32768 the chain multiplies and then divides; above it would overflow, so it multiplies by a floored factor.
    The results differ by one here and there.
    """
    largest = max(raws, default=0)
    if largest == 0:
        return [0] * len(raws)
    if largest > _UPSCALE_THRESHOLD:
        factor = _saturated((U16_MAX << 64) // largest)
        scaled = [_saturated((raw * factor) >> 32) for raw in raws]
    else:
        scaled = [_saturated((_saturated(raw * U16_MAX) << 32) // largest) for raw in raws]
    return [min((raw + HALF) >> 32, U16_MAX) for raw in scaled]


def is_max_limited(values: Sequence[int], limit_u16: int) -> bool:
    """Whether no value is more than `limit_u16 / 65535` of the sum: `check_vec_max_limited`."""
    total = sum(values)
    largest = max(values, default=0)
    share = (largest << 32) // total if total else 0
    return share <= (limit_u16 << 32) // U16_MAX


def _saturated(raw: int) -> int:
    return min(max(raw, I32F32_MIN), I32F32_MAX)
