"""A subnet with everything in the cluster that its epochs were made of.

Owns the reading of raw objects into one picture, and the search for what an epoch left: reports by their one name and
bonds by their digest. Must never guess: what is not there, or was altered, is told as missing.
"""

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assay.api import (
    CommittedEpoch,
    InvalidObject,
    MinerStatus,
    ModelDeployment,
    NamespacedName,
    ScoreReport,
    Subnet,
    ValidatorPolicy,
    ValidatorStatus,
)
from assay.desired.bonds import DATA_KEY, Bonds, BondsCorrupt, join, sha256_hex
from assay.desired.names import LABEL_EPOCH

OPERATOR_MANAGERS = frozenset({"assay", "assay-status"})
_SETS_LIMIT = 16
Row = MinerStatus | ValidatorStatus
RawObject = Mapping[str, Any]


class NotFoundIn(LookupError):
    """The subnet has no such member, or no epoch yet. The message says what there is."""


@dataclass(frozen=True)
class StoredBonds:
    """One ConfigMap of bonds. `text` is what it holds, whatever its name says."""

    name: str
    epoch: int
    text: str

    @property
    def sha256(self) -> str:
        """Digest of the content, in hexadecimal."""
        return sha256_hex(self.text)

    @property
    def answers_to_its_name(self) -> bool:
        """A chunk is named by its digest; one that was altered is not."""
        return self.name.endswith(f"-{self.sha256[:10]}")


@dataclass(frozen=True)
class Market:
    """All that is known about one subnet.

    Attributes:
        subnet: the object itself.
        deployments: its miners by object UID, as far as they exist.
        policies: its validators.
        reports: its ScoreReports by `namespace/name`.
        chunks: the ConfigMaps of its bonds.
        unreadable: one sentence per object that did not parse.
        spec_changed_at: when anyone but the operator last changed the subnet's spec; "" if that is not told.
    """

    subnet: Subnet
    deployments: Mapping[str, ModelDeployment]
    policies: Mapping[NamespacedName, ValidatorPolicy]
    reports: Mapping[str, ScoreReport]
    chunks: tuple[StoredBonds, ...]
    unreadable: tuple[str, ...] = ()
    spec_changed_at: str = ""

    @property
    def committed(self) -> CommittedEpoch:
        """The last commit. Raises NotFoundIn if there was none."""
        if self.subnet.status.committed is None:
            raise NotFoundIn(
                f"{self.subnet.subject}: no epoch was committed yet; `assay status` says what it waits for"
            )
        return self.subnet.status.committed

    def miner(self, name: str) -> MinerStatus:
        """The miner of this name, `namespace/name` or number. Raises NotFoundIn."""
        rows = self.subnet.status.miners
        found = [row for row in rows if name in (str(row.uid), row.name, f"{row.namespace}/{row.name}")]
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(f"{row.namespace}/{row.name}" for row in found)
            raise NotFoundIn(f"{self.subnet.subject}: {name} is the name of several miners; write one of {names}")
        there = ", ".join(f"{row.namespace}/{row.name}" for row in rows[:16]) or "none"
        raise NotFoundIn(f"{self.subnet.subject}: no miner {name}; there are: {there}")

    def validator(self, name: str) -> ValidatorStatus:
        """The validator of this name or `namespace/name`. Raises NotFoundIn."""
        rows = self.subnet.status.validators
        found = [row for row in rows if name in (row.name, f"{row.namespace}/{row.name}")]
        if len(found) == 1:
            return found[0]
        there = ", ".join(f"{row.namespace}/{row.name}" for row in found or rows) or "none"
        problem = f"{name} is the name of several validators" if found else f"no validator {name}"
        raise NotFoundIn(f"{self.subnet.subject}: {problem}; there are: {there}")

    def policy(self, row: ValidatorStatus) -> ValidatorPolicy | None:
        """The ValidatorPolicy behind a row, if it is still the same object."""
        policy = self.policies.get(NamespacedName(row.namespace, row.name))
        return policy if policy is not None and policy.metadata.uid == row.object_uid else None

    def bonds_after(self, epoch: int) -> list[Bonds]:
        """The bonds that commits of `epoch` left: usually one; more if an operator died between writing and commit."""
        parts: dict[tuple[int, int], list[StoredBonds]] = {}
        for chunk in self.chunks:
            if chunk.epoch == epoch and chunk.answers_to_its_name and (place := _place(chunk.text)):
                parts.setdefault(place, []).append(chunk)
        found = []
        for size in sorted({size for _, size in parts}):
            sets = itertools.product(*(parts.get((part, size), []) for part in range(size)))
            for chunks in itertools.islice(sets, _SETS_LIMIT):
                try:
                    found.append(join([chunk.text for chunk in chunks]))
                except BondsCorrupt:
                    continue
        return found

    def altered(self, epoch: int) -> list[str]:
        """Names of chunks of `epoch` whose content is no longer what their name says."""
        return sorted(chunk.name for chunk in self.chunks if chunk.epoch == epoch and not chunk.answers_to_its_name)


def market_of(
    subnet: RawObject,
    *,
    deployments: Iterable[RawObject] = (),
    policies: Iterable[RawObject] = (),
    reports: Iterable[RawObject] = (),
    config_maps: Iterable[RawObject] = (),
) -> Market:
    """Read raw objects; those of other subnets are left out, those that do not parse are told. Raises InvalidObject.

    Args:
        subnet: as the API server sent it.
        deployments: ModelDeployments of any namespace.
        policies: ValidatorPolicies of any namespace.
        reports: ScoreReports of any namespace.
        config_maps: those of bonds in the subnet's namespace.
    """
    parsed = Subnet.parse(subnet)
    unreadable: list[str] = []
    members: tuple[Row, ...] = (*parsed.status.miners, *parsed.status.validators)
    rows = {row.object_uid for row in members}
    miners = [one for one in _readable(ModelDeployment, deployments, unreadable) if one.metadata.uid in rows]
    judges = [one for one in _readable(ValidatorPolicy, policies, unreadable) if one.metadata.uid in rows]
    own = [one for one in _readable(ScoreReport, reports, unreadable) if one.spec.subnet.uid == parsed.metadata.uid]
    return Market(
        subnet=parsed,
        deployments={one.metadata.uid: one for one in miners},
        policies={one.metadata.namespaced_name: one for one in judges},
        reports={str(one.metadata.namespaced_name): one for one in own},
        chunks=tuple(_chunks(parsed, config_maps)),
        unreadable=tuple(unreadable),
        spec_changed_at=_spec_changed_at(subnet),
    )


def _readable(kind: Any, objects: Iterable[RawObject], unreadable: list[str]) -> Sequence[Any]:  # noqa: ANN401
    found = []
    for obj in objects:
        try:
            found.append(kind.parse(obj))
        except InvalidObject as error:
            unreadable += error.problems
    return found


def _chunks(subnet: Subnet, config_maps: Iterable[RawObject]) -> Iterable[StoredBonds]:
    for obj in config_maps:
        metadata = obj["metadata"]
        owners = {owner.get("uid") for owner in metadata.get("ownerReferences") or ()}
        epoch = (metadata.get("labels") or {}).get(LABEL_EPOCH, "")
        if subnet.metadata.uid in owners and epoch.isdecimal():
            yield StoredBonds(metadata["name"], int(epoch), (obj.get("data") or {}).get(DATA_KEY, ""))


def _place(text: str) -> tuple[int, int] | None:
    """(part, parts) of a chunk; None if it does not read."""
    try:
        content = json.loads(text)
        return int(content["part"]), int(content["parts"])
    except (ValueError, KeyError, TypeError):
        return None


def _spec_changed_at(subnet: RawObject) -> str:
    entries = subnet["metadata"].get("managedFields") or ()
    moments = [
        str(entry.get("time", ""))
        for entry in entries
        if not entry.get("subresource") and entry.get("manager") not in OPERATOR_MANAGERS
    ]
    return max(moments, default="")
