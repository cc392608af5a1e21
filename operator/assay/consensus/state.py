"""The input of one epoch: what the chain has stored for a subnet and mechanism when the epoch begins.

Owns: `EpochState`, `Hyperparameters` and their reading from JSON. Must never be changed after construction; every state
that can be constructed is one the epoch can run. The keys of the JSON form are those of the reference vectors.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from assay.consensus.invalid import (
    BLOCK_MAX,
    STAKE_MAX,
    InvalidState,
    flag,
    flags,
    missing_and_unknown,
    u16_rows,
    whole_number,
    whole_numbers,
)
from assay.consensus.numbers import U16_MAX, Raws, u16_to_proportion
from assay.consensus.rows import SparseRows, rows_of_mapping

UIDS_MAX: Final = 32768
"""The sum of a weight row of more uids could exceed I32F32."""


class ConsensusSource(StrEnum):
    """Which consensus liquid alpha compares a weight with."""

    CURRENT = "Current"
    """This epoch's; the only one of runtimes up to June 2026."""
    PREVIOUS = "Previous"
    """The stored one of the previous epoch (u16)."""
    AUTO = "Auto"
    """Previous while the bonds penalty is 1, else Current; the default of later runtimes."""


@dataclass(frozen=True, kw_only=True)
class Hyperparameters:
    """The subnet's settings that an epoch reads. Defaults are those of a new subnet; raises InvalidState."""

    tempo: int = 360
    """Blocks between epochs."""
    activity_cutoff_blocks: int = 5000
    """A validator that has not set weights for more blocks than this is inactive."""
    max_allowed_validators: int = 64
    stake_threshold: int = 0
    """Stake below this counts as none, except the owner's."""
    kappa_u16: int = 32767
    """Share of the active stake that sets the consensus; the default is a little below one half."""
    bonds_penalty_u16: int = 65535
    """How far weights above the consensus are left out of the bonds: 65535 entirely."""
    bonds_moving_average: int = 900_000
    """What bonds keep of the past, in millionths."""
    yuma3_on: bool = True
    liquid_alpha_on: bool = False
    """Only with Yuma3."""
    alpha_low_u16: int = 45875
    alpha_high_u16: int = 58982
    alpha_sigmoid_steepness: int = 1000
    """In hundredths; negative turns the sigmoid round."""
    commit_reveal_on: bool = True
    liquid_alpha_consensus_mode: ConsensusSource = ConsensusSource.CURRENT

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            whole_number(getattr(self, name), low, high, name)
        for name in _FLAGS:
            flag(getattr(self, name), name)

    @property
    def liquid_alpha_reads_previous(self) -> bool:
        """Whether liquid alpha compares with the previous epoch's consensus."""
        mode = self.liquid_alpha_consensus_mode
        automatic = mode is ConsensusSource.AUTO and self.bonds_penalty_u16 == U16_MAX
        return automatic or mode is ConsensusSource.PREVIOUS


_RANGES: Final = {
    "tempo": (0, BLOCK_MAX),
    "activity_cutoff_blocks": (0, BLOCK_MAX),
    "max_allowed_validators": (0, U16_MAX),
    "stake_threshold": (0, BLOCK_MAX),
    "kappa_u16": (0, U16_MAX),
    "bonds_penalty_u16": (0, U16_MAX),
    "bonds_moving_average": (0, 1_000_000),
    "alpha_low_u16": (0, U16_MAX),
    "alpha_high_u16": (0, U16_MAX),
    "alpha_sigmoid_steepness": (-(2**15), 2**15 - 1),
}
_FLAGS: Final = ("yuma3_on", "liquid_alpha_on", "commit_reveal_on")


def activity_cutoff_blocks(tempo: int, factor_milli: int = 13_889) -> int:
    """Blocks after which a silent validator is inactive: `max(1, floor(factor_milli * tempo / 1000))`."""
    return max(1, factor_milli * tempo // 1000)


@dataclass(frozen=True, kw_only=True, eq=False)
class EpochState:
    """Everything one epoch of one mechanism reads. Build it with `create` or `from_json`, which check it.

    Vectors have one entry a uid. Only a state read with `chain_lengths` may hold `validator_permits` and `last_update`
    of another length; the epoch then reads them as the chain does.
    """

    hyperparameters: Hyperparameters
    current_block: int
    last_step_block: int
    """Block of the last successful epoch, 0 if there was none."""
    last_tempo: int
    """Bonds to a uid registered at or after this block are dropped (`last_tempo_for_bond_mask`)."""
    stake: tuple[int, ...]
    """Total stake, units, before the threshold."""
    validator_permits: NDArray[np.bool_]
    """As stored by the previous epoch: these mask this one."""
    last_update: NDArray[np.uint64]
    """Block at which a uid last set weights."""
    block_at_registration: NDArray[np.uint64]
    commit_blocks: NDArray[np.uint64]
    """Earliest block among a uid's unexpired commits; 2^64 - 1 for none."""
    weights: SparseRows
    """Rows of uid -> u16 as stored (max-upscaled, explicit zeros kept)."""
    bonds: SparseRows
    """Rows of uid -> u16 that the previous epoch stored."""
    owner_uid: int | None
    rao_emission: int
    """Units to hand out in this epoch."""
    previous_consensus: Raws = field(default_factory=lambda: np.zeros(0, np.int64))
    """Stored consensus of the previous epoch as raws; read only by liquid alpha, all zero if never stored."""

    @property
    def n(self) -> int:
        """Number of uids."""
        return len(self.stake)

    @classmethod
    def create(
        cls,
        *,
        stake: Sequence[int],
        weights: Mapping[int, Mapping[int, int]],
        bonds: Mapping[int, Mapping[int, int]] | None = None,
        validator_permits: Sequence[bool] | None = None,
        current_block: int,
        last_step_block: int = 0,
        last_update: Sequence[int] | None = None,
        block_at_registration: Sequence[int] | None = None,
        commit_blocks: Sequence[int | None] | None = None,
        owner_uid: int | None = None,
        rao_emission: int,
        previous_consensus_u16: Sequence[int] | None = None,
        hyperparameters: Hyperparameters | None = None,
    ) -> Self:
        """A state from plain Python values; raises InvalidState.

        Args:
            stake: units by uid; its length is the number of uids.
            weights: validator uid -> miner uid -> u16.
            bonds: as `EpochResult.bonds` of the epoch before; none for a first epoch.
            validator_permits: as `EpochResult.new_validator_permits` of the epoch before; by default every uid with a
                weight row has one.
            current_block: a count that grows with time, at least 1: a vote of block 0 is no newer than a miner of block
                0 and does not count. An epoch's number times the tempo will do.
            last_step_block: `current_block` of the epoch before, 0 if none.
            last_update: block of each uid's weights; by default `current_block`.
            block_at_registration: by default 0, a member from the start.
            commit_blocks: None for a uid without a commit under way.
            owner_uid: the subnet owner's, who keeps stake below the threshold, a permit and a self weight.
            rao_emission: units to hand out.
            previous_consensus_u16: as `EpochResult.consensus_u16` of the epoch before.
            hyperparameters: by default those of a new subnet.
        """
        n = len(stake)
        settings = hyperparameters or Hyperparameters()
        for key, rows in (("weights_u16", weights), ("bonds_u16", bonds or {})):
            for uid in rows:
                whole_number(uid, 0, n - 1, key)
        json = {
            "n": n,
            "current_block": current_block,
            "last_step_block": last_step_block,
            "last_tempo_for_bond_mask": last_step_block + 1
            if last_step_block
            else max(0, current_block - settings.tempo),
            "stake": list(stake),
            "owner_uid": owner_uid,
            "validator_permits": [uid in weights for uid in range(n)]
            if validator_permits is None
            else validator_permits,
            "last_update": [current_block] * n if last_update is None else last_update,
            "block_at_registration": [0] * n if block_at_registration is None else block_at_registration,
            "commit_blocks": [None] * n if commit_blocks is None else commit_blocks,
            "weights_u16": rows_of_mapping(weights, n),
            "bonds_u16": rows_of_mapping(bonds or {}, n),
            "rao_emission": rao_emission,
        }
        if previous_consensus_u16 is not None:
            json["previous_consensus_u16"] = previous_consensus_u16
        return cls.from_json(json | asdict(settings))

    @classmethod
    def from_json(cls, obj: object, *, chain_lengths: bool = False) -> Self:
        """A state from one `state` object of the reference vectors; raises InvalidState.

        Optional beside its keys: `liquid_alpha_consensus_mode` (Current, Previous or Auto) and
        `previous_consensus_u16`.

        Args:
            obj: the parsed JSON object.
            chain_lengths: let `validator_permits` and `last_update` have any length, as the chain does (it must not
                stop for them): a missing permit reads as false, a missing update as never.
        """
        if not isinstance(obj, Mapping):
            raise InvalidState("", f"a state is a JSON object, not {type(obj).__name__}")
        missing_and_unknown(list(obj), _REQUIRED, _REQUIRED | _OPTIONAL)
        n = whole_number(obj["n"], 0, UIDS_MAX, "n")
        loose = None if chain_lengths else n
        previous = whole_numbers(obj.get("previous_consensus_u16", [0] * n), n, U16_MAX, "previous_consensus_u16")
        return cls(
            hyperparameters=_hyperparameters(obj),
            current_block=whole_number(obj["current_block"], 0, BLOCK_MAX, "current_block"),
            last_step_block=whole_number(obj["last_step_block"], 0, BLOCK_MAX, "last_step_block"),
            last_tempo=whole_number(obj["last_tempo_for_bond_mask"], 0, BLOCK_MAX, "last_tempo_for_bond_mask"),
            stake=tuple(whole_numbers(obj["stake"], n, STAKE_MAX, "stake")),
            validator_permits=flags(obj["validator_permits"], loose, "validator_permits"),
            last_update=_blocks(obj["last_update"], loose, "last_update"),
            block_at_registration=_blocks(obj["block_at_registration"], n, "block_at_registration"),
            commit_blocks=_commit_blocks(obj["commit_blocks"], n),
            weights=u16_rows(obj["weights_u16"], n, "weights_u16"),
            bonds=u16_rows(obj["bonds_u16"], n, "bonds_u16"),
            owner_uid=None if obj["owner_uid"] is None else whole_number(obj["owner_uid"], 0, n - 1, "owner_uid"),
            rao_emission=whole_number(obj["rao_emission"], 0, BLOCK_MAX, "rao_emission"),
            previous_consensus=u16_to_proportion(np.array(previous, np.int64)),
        )


_REQUIRED: Final = frozenset(
    {
        "n",
        "current_block",
        "last_step_block",
        "last_tempo_for_bond_mask",
        "stake",
        "owner_uid",
        "validator_permits",
        "last_update",
        "block_at_registration",
        "weights_u16",
        "bonds_u16",
        "commit_blocks",
        "rao_emission",
        *(item.name for item in fields(Hyperparameters) if item.name != "liquid_alpha_consensus_mode"),
    }
)
_OPTIONAL: Final = frozenset({"liquid_alpha_consensus_mode", "previous_consensus_u16"})


def _hyperparameters(obj: Mapping[str, Any]) -> Hyperparameters:
    key = "liquid_alpha_consensus_mode"
    mode = obj.get(key, ConsensusSource.CURRENT.value)
    if mode not in list(ConsensusSource):
        raise InvalidState(key, f"{mode!r} is none of {', '.join(ConsensusSource)}")
    settings = {item.name: obj[item.name] for item in fields(Hyperparameters) if item.name != key}
    return Hyperparameters(**settings, liquid_alpha_consensus_mode=ConsensusSource(mode))


def _blocks(value: object, length: int | None, key: str) -> NDArray[np.uint64]:
    return np.array(whole_numbers(value, length, BLOCK_MAX, key), np.uint64)


def _commit_blocks(value: object, n: int) -> NDArray[np.uint64]:
    infinite = [BLOCK_MAX if entry is None else entry for entry in value] if isinstance(value, list | tuple) else value
    return _blocks(infinite, n, "commit_blocks")
