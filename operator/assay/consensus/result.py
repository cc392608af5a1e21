"""The outcome of one epoch, and its JSON form.

Owns: `EpochResult`. Must never hold a float. Invariant: `to_json` has exactly the keys of the reference vectors'
`derived`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.consensus.numbers import Raws, proportion_to_u16
from assay.consensus.rows import SparseRows


@dataclass(frozen=True, kw_only=True, eq=False)
class EpochResult:
    """Vectors have one entry a uid: `*_raw` I32F32 bit patterns, `*_u16` their floors, `*_emission` whole units."""

    active: NDArray[np.bool_]
    """Set weights within the activity cutoff."""
    normalised_stake_raw: Raws
    active_stake_raw: Raws
    consensus_raw: Raws
    validator_trust_raw: Raws
    incentive_raw: Raws
    dividends_raw: Raws
    normalised_server_emission_raw: Raws
    normalised_validator_emission_raw: Raws
    normalised_combined_emission_raw: Raws
    server_emission: NDArray[np.uint64]
    validator_emission: NDArray[np.uint64]
    combined_emission: NDArray[np.uint64]
    new_validator_permits: NDArray[np.bool_]
    """To be stored: they mask the next epoch, not this one."""
    ema_bonds: SparseRows
    """All rows as raws: plain bonds under Yuma3, scaled to a column maximum of 1 under the classic."""
    bonds: SparseRows
    """u16 rows to be stored; only uids with a new permit have any."""

    @property
    def stake_weight_u16(self) -> Raws:
        """Share of the stake, before inactive validators are left out."""
        return proportion_to_u16(self.normalised_stake_raw)

    @property
    def consensus_u16(self) -> Raws:
        """The weight that validators with at least kappa of the active stake give to each miner, or exceed."""
        return proportion_to_u16(self.consensus_raw)

    @property
    def incentive_u16(self) -> Raws:
        """Each miner's share of the servers' part; also its rank."""
        return proportion_to_u16(self.incentive_raw)

    @property
    def dividends_u16(self) -> Raws:
        """Each validator's share of the validators' part."""
        return proportion_to_u16(self.dividends_raw)

    @property
    def validator_trust_u16(self) -> Raws:
        """How much of each validator's weight the consensus left standing."""
        return proportion_to_u16(self.validator_trust_raw)

    def to_json(self) -> dict[str, Any]:
        """The `derived` object of the reference vectors: plain ints, bools and lists."""
        return {
            "normalised_stake_raw": self.normalised_stake_raw.tolist(),
            "active_stake_raw": self.active_stake_raw.tolist(),
            "consensus_raw": self.consensus_raw.tolist(),
            "validator_trust_raw": self.validator_trust_raw.tolist(),
            "incentive_raw": self.incentive_raw.tolist(),
            "dividends_raw": self.dividends_raw.tolist(),
            "normalised_combined_emission_raw": self.normalised_combined_emission_raw.tolist(),
            "server_emission": self.server_emission.tolist(),
            "validator_emission": self.validator_emission.tolist(),
            "combined_emission": self.combined_emission.tolist(),
            "consensus_u16": self.consensus_u16.tolist(),
            "incentive_u16": self.incentive_u16.tolist(),
            "dividends_u16": self.dividends_u16.tolist(),
            "validator_trust_u16": self.validator_trust_u16.tolist(),
            "new_validator_permits": self.new_validator_permits.tolist(),
            "bonds_u16_out": self.bonds.to_lists(),
            "ema_bonds_raw": self.ema_bonds.to_lists(),
        }
