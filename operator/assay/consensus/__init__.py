"""Yuma Consensus in exact fixed point. Pure - numpy only; no clock, no input or output, no floats.

`EpochState` -> `run_epoch` -> `EpochResult`; `payouts` hands out the last unit. Beside the epoch: `submission` (setting
weights), `registration` (places and pruning), `mechanisms` (several epochs in one subnet), `explanation` (why).
"""

from assay.consensus.epoch import EpochTrace, run_epoch, trace_epoch
from assay.consensus.invalid import InvalidState
from assay.consensus.mechanisms import SubnetResult, run_mechanisms, split_emission
from assay.consensus.payouts import largest_remainder, payouts
from assay.consensus.registration import (
    Place,
    PlaceRules,
    bonds_after_reset,
    burn_after_block,
    burn_after_registration,
    immune_until,
    is_immune,
    place_for_newcomer,
    pruning_order,
    rows_after_replacement,
    uid_to_prune,
    uids_to_trim,
)
from assay.consensus.result import EpochResult
from assay.consensus.rows import SparseRows
from assay.consensus.state import ConsensusSource, EpochState, Hyperparameters, activity_cutoff_blocks
from assay.consensus.submission import (
    Refusal,
    Submission,
    WeightRules,
    is_max_limited,
    max_upscale_to_u16,
    submit_weights,
    upscaled_to_max,
)

vec_max_upscale_to_u16 = upscaled_to_max
"""The chain's name of `upscaled_to_max`."""

__all__ = [
    "ConsensusSource",
    "EpochResult",
    "EpochState",
    "EpochTrace",
    "Hyperparameters",
    "InvalidState",
    "Place",
    "PlaceRules",
    "Refusal",
    "SparseRows",
    "Submission",
    "SubnetResult",
    "WeightRules",
    "activity_cutoff_blocks",
    "bonds_after_reset",
    "burn_after_block",
    "burn_after_registration",
    "immune_until",
    "is_immune",
    "is_max_limited",
    "largest_remainder",
    "max_upscale_to_u16",
    "payouts",
    "place_for_newcomer",
    "pruning_order",
    "rows_after_replacement",
    "run_epoch",
    "run_mechanisms",
    "split_emission",
    "submit_weights",
    "trace_epoch",
    "uid_to_prune",
    "uids_to_trim",
    "upscaled_to_max",
    "vec_max_upscale_to_u16",
]
