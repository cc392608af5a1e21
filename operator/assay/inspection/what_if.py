"""The last committed epoch with other stakes or other parameters: who would have earned what.

Owns the changes that can be asked for and the comparison. Both sides are computed from the same objects of now, so a
difference is the change's and nothing else's. The changed spec is parsed like any other: what the API server would
refuse is refused here, in the same words.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from assay.api import MinerStatus, Subnet, ValidatorStatus, to_wire
from assay.desired.bonds import NO_BONDS
from assay.inspection.market import Market, NotFoundIn
from assay.inspection.replay import bonds_before, recompute, roster_now, state_before, with_weights
from assay.planning.membership import Candidates, Roster, enrolled

SECTIONS: Final = ("consensus", "emission")
MINER_FIELDS: Final = ("weight", "incentive", "emission")
VALIDATOR_FIELDS: Final = ("stake", "permit", "trust", "dividends", "emission")


class CannotSet(ValueError):
    """A change that names nothing, or has no value. The message says what can be set."""


@dataclass(frozen=True)
class Change:
    """One number of one member, before and after."""

    uid: int
    member: str
    field: str
    before: int | bool
    after: int | bool


@dataclass(frozen=True)
class WhatIf:
    """What the changes would do.

    `bonds` tells whether the bonds of the epoch before were there to start from, `faithful` whether the epoch without
    the changes comes out as it was committed.
    """

    subnet: str
    epoch: int
    settings: tuple[str, ...]
    bonds: bool
    faithful: bool
    changes: tuple[Change, ...]


def what_if(market: Market, settings: Iterable[str]) -> WhatIf:
    """Compute the last committed epoch with and without `settings`, each `KEY=VALUE`.

    Keys: `validators.NAME.stake` (NAME or namespace/NAME), `consensus.FIELD`, `consensus.liquidAlpha.FIELD`,
    `emission.FIELD`; fields as in the Subnet's spec. Raises CannotSet, NotFoundIn, and InvalidObject if the API server
    would refuse the outcome.
    """
    told = tuple(settings)
    wire = market.subnet.to_wire()
    for setting in told:
        _set(market, wire["spec"], setting)
    changed = Subnet.parse(wire)
    epoch = market.committed.number
    starts = bonds_before(market, epoch)
    bonds = starts[0] if starts else NO_BONDS
    past, _ = state_before(market, epoch, starts)
    before, after = (
        recompute(
            replace(market, subnet=subnet),
            with_weights(_roster(market, subnet), past.weights if past else {}),
            bonds,
            epoch,
        ).roster
        for subnet in (market.subnet, changed)
    )
    return WhatIf(
        subnet=str(market.subnet.metadata.namespaced_name),
        epoch=epoch,
        settings=told,
        bonds=bool(starts),
        faithful=_rows(before) == _rows(_roster(market, market.subnet)),
        changes=tuple(_changes(before, after)),
    )


def _set(market: Market, spec: dict[str, Any], setting: str) -> None:
    key, equals, text = setting.partition("=")
    section, *path = key.split(".")
    if not equals or not path:
        raise CannotSet(f"--set {setting}: write KEY=VALUE, for example validators.val-a.stake=500")
    if section == "validators":
        _set_stake(market, spec, setting, key, _value(setting, text))
        return
    if section not in SECTIONS:
        raise CannotSet(f"--set {setting}: {section} is none of validators, {', '.join(SECTIONS)}")
    _set_field(spec, section, path, setting, _value(setting, text))


def _value(setting: str, text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        if not text or not text[0].isalpha():
            raise CannotSet(f"--set {setting}: {text!r} is no value; write a number, true, false or a word") from None
        return text


def _set_stake(market: Market, spec: dict[str, Any], setting: str, key: str, value: object) -> None:
    name = key.removeprefix("validators.").removesuffix(".stake")
    if not key.endswith(".stake") or not name:
        raise CannotSet(f"--set {setting}: of a validator only the stake can be set: validators.NAME.stake=500")
    row = market.validator(name)
    reference = {"namespace": row.namespace, "name": row.name}
    entries = [entry for entry in spec.get("validators", []) if entry["policyRef"] != reference]
    spec["validators"] = [*entries, {"policyRef": reference, "stake": value}]


def _set_field(spec: dict[str, Any], section: str, path: list[str], setting: str, value: object) -> None:
    at = spec[section]
    for depth, name in enumerate(path):
        known = sorted(at) if isinstance(at, Mapping) else []
        if name not in known:
            where = ".".join((section, *path[:depth]))
            raise CannotSet(f"--set {setting}: {where} has no field {name}; it has {', '.join(known) or 'none'}")
        if depth == len(path) - 1 and isinstance(at[name], Mapping):
            inside = ", ".join(f"{'.'.join((section, *path))}.{field}" for field in sorted(at[name]))
            raise CannotSet(f"--set {setting}: name one of its fields: {inside}")
        if depth == len(path) - 1:
            at[name] = value
        at = at[name]


def _roster(market: Market, subnet: Subnet) -> Roster:
    """The members of the committed epoch, with the stakes and permits that the spec gives them."""
    epoch = market.committed.number
    held = {row.object_uid for row in roster_now(market).rows}
    members = Candidates(
        tuple(one for one in market.deployments.values() if one.metadata.uid in held),
        tuple(one for one in market.policies.values() if one.metadata.uid in held),
    )
    whole = enrolled(subnet, members, next_epoch=epoch + 1)
    if not whole.miners:
        raise NotFoundIn(f"{market.subnet.subject}: it has no miners whose ModelDeployments can be read")
    return Roster(
        tuple(row for row in whole.miners if row.registered_epoch <= epoch),
        tuple(row for row in whole.validators if row.registered_epoch <= epoch),
    )


def _rows(roster: Roster) -> list[dict[str, Any]]:
    return [to_wire(row) for row in roster.rows]


def _changes(before: Roster, after: Roster) -> Iterable[Change]:
    for old, new in zip(before.rows, after.rows, strict=True):
        yield from _row_changes(old, new, MINER_FIELDS if isinstance(old, MinerStatus) else VALIDATOR_FIELDS)


def _row_changes(
    old: MinerStatus | ValidatorStatus, new: MinerStatus | ValidatorStatus, fields: tuple[str, ...]
) -> Iterable[Change]:
    was, becomes = to_wire(old), to_wire(new)
    for field in fields:
        if was[field] != becomes[field]:
            yield Change(old.uid, f"{old.namespace}/{old.name}", field, was[field], becomes[field])
