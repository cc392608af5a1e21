"""Who holds which UID of a subnet.

Miners and validators share one numbering. UIDs are given in order of arrival and stay with their holder; a UID whose
holder is gone is given out again only when no fresh one is left, and a full subnet makes room by pruning the miner with
the least emission, once an epoch. A holder is an object, not a name: an object that was deleted and made anew is new.

A miner that the open epoch scores stays on the roster until that epoch is committed, even if it leaves: the reports
that are under way speak of it, and nobody may void them by going.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from assay.api import MinerStatus, ModelDeployment, NamespacedName, Subnet, ValidatorPolicy, ValidatorStatus

FULL_ROWS = 256
"""Miners that a Subnet's status holds in full, and so the most that this version registers."""


@dataclass(frozen=True)
class Roster:
    """The rows of a subnet's status, each sorted by UID."""

    miners: tuple[MinerStatus, ...]
    validators: tuple[ValidatorStatus, ...]

    @property
    def rows(self) -> tuple[MinerStatus | ValidatorStatus, ...]:
        """Everyone, miners first."""
        return (*self.miners, *self.validators)

    @property
    def uids(self) -> frozenset[int]:
        """UIDs that somebody holds."""
        return frozenset(row.uid for row in self.rows)


@dataclass(frozen=True)
class Candidates:
    """Everyone who may be a member now, in order of arrival."""

    deployments: tuple[ModelDeployment, ...]
    policies: tuple[ValidatorPolicy, ...]


def candidates(
    subnet: Subnet,
    deployments: Iterable[ModelDeployment],
    policies: Mapping[NamespacedName, ValidatorPolicy],
    namespace_labels: Mapping[str, Mapping[str, str]],
) -> Candidates:
    """Whom the subnet's rules let in: miners by their namespace, validators by the owner's list."""
    here = subnet.metadata.namespaced_name
    miners = [
        deployment
        for deployment in deployments
        if names(deployment, here)
        and not deployment.metadata.is_deleting
        and admits(subnet, deployment.metadata.namespace, namespace_labels.get(deployment.metadata.namespace, {}))
    ]
    listed = [policies.get(entry.policy_ref.namespaced_name) for entry in subnet.spec.validators]
    judges = [
        policy
        for policy in listed
        if policy is not None
        and not policy.metadata.is_deleting
        and policy.spec.subnet_ref.resolve(policy.metadata.namespace) == here
    ]
    return Candidates(tuple(sorted(miners, key=_arrival)), tuple(sorted(judges, key=_arrival)))


def names(deployment: ModelDeployment, subnet: NamespacedName) -> bool:
    """Whether the deployment wants to be a miner of this subnet."""
    ref = deployment.spec.subnet_ref
    return ref is not None and ref.resolve(deployment.metadata.namespace) == subnet


def admits(subnet: Subnet, namespace: str, labels: Mapping[str, str]) -> bool:
    """Whether miners of a namespace with these labels may join the subnet."""
    allowed = subnet.spec.members.allowed_namespaces
    match allowed.from_:
        case "All":
            return True
        case "Same":
            return namespace == subnet.metadata.namespace
        case _:
            return allowed.selector is not None and allowed.selector.matches(dict(labels))


def enrolled(subnet: Subnet, present: Candidates, *, next_epoch: int) -> Roster:
    """The roster after everyone who left is struck off and everyone who fits is entered.

    Args:
        subnet: with the rows as they stand.
        present: whom the rules let in now.
        next_epoch: the epoch in which a newcomer is scored first.
    """
    staying = _staying(subnet, present)
    newcomers = _newcomers(present, staying)
    free = _free_uids(staying.uids, uid_limit(subnet))
    room = miner_limit(subnet) - len(staying.miners)
    miners, validators = list(staying.miners), list(staying.validators)
    for newcomer in newcomers:
        is_miner = isinstance(newcomer, ModelDeployment)
        if is_miner and room <= 0:
            continue
        uid = next(free, None)
        if uid is None:
            break
        if isinstance(newcomer, ModelDeployment):
            miners.append(_miner_row(subnet, newcomer, uid, next_epoch))
            room -= 1
        else:
            validators.append(_validator_row(newcomer, uid, next_epoch))
    return Roster(tuple(sorted(miners, key=_uid)), _with_stakes(subnet, sorted(validators, key=_uid)))


def pruned(subnet: Subnet, roster: Roster, present: Candidates, *, next_epoch: int) -> Roster:
    """The roster after one miner made room for the one that waits longest, if the subnet is full and somebody waits.

    The chain's order: lowest emission, then oldest registration, then lowest UID; an immune miner goes only where no
    other is left to go, and never one that has not been scored yet.
    """
    held = {row.object_uid for row in roster.miners}
    waiting = [deployment for deployment in present.deployments if deployment.metadata.uid not in held]
    scored = [row for row in roster.miners if row.registered_epoch < next_epoch]
    if not waiting or not scored or len(roster.miners) < miner_limit(subnet):
        return roster
    mortal = [row for row in scored if row.immune_until_epoch <= next_epoch]
    leaving = min(mortal or scored, key=lambda row: (row.emission, row.registered_epoch, row.uid))
    entering = _miner_row(subnet, waiting[0], leaving.uid, next_epoch)
    return Roster(tuple(entering if row is leaving else row for row in roster.miners), roster.validators)


def miner_limit(subnet: Subnet) -> int:
    """The most miners the subnet registers."""
    return min(subnet.spec.members.max_miners, FULL_ROWS)


def uid_limit(subnet: Subnet) -> int:
    """The size of the numbering: miners and every validator the owner may list."""
    return miner_limit(subnet) + max(len(subnet.spec.validators), subnet.spec.consensus.max_validators)


def _staying(subnet: Subnet, present: Candidates) -> Roster:
    deployments = {deployment.metadata.uid for deployment in present.deployments}
    policies = {policy.metadata.uid for policy in present.policies}
    return Roster(
        tuple(row for row in subnet.status.miners if row.object_uid in deployments or _is_being_scored(subnet, row)),
        tuple(row for row in subnet.status.validators if row.object_uid in policies),
    )


def _is_being_scored(subnet: Subnet, row: MinerStatus) -> bool:
    epoch, committed = subnet.status.epoch, subnet.status.committed
    is_open = epoch is not None and epoch.number > (committed.number if committed else 0)
    return is_open and epoch is not None and row.registered_epoch <= epoch.number


def _newcomers(present: Candidates, staying: Roster) -> list[ModelDeployment | ValidatorPolicy]:
    held = {row.object_uid for row in staying.rows}
    everyone: list[ModelDeployment | ValidatorPolicy] = [*present.deployments, *present.policies]
    return sorted((one for one in everyone if one.metadata.uid not in held), key=_arrival)


def _free_uids(held: frozenset[int], limit: int) -> Iterator[int]:
    fresh = 1 + max(held, default=-1)
    yield from range(fresh, limit)
    yield from (uid for uid in range(min(fresh, limit)) if uid not in held)


def _miner_row(subnet: Subnet, deployment: ModelDeployment, uid: int, epoch: int) -> MinerStatus:
    return MinerStatus(
        uid=uid,
        namespace=deployment.metadata.namespace,
        name=deployment.metadata.name,
        object_uid=deployment.metadata.uid,
        registered_epoch=epoch,
        immune_until_epoch=epoch + subnet.spec.members.immunity_epochs,
    )


def _validator_row(policy: ValidatorPolicy, uid: int, epoch: int) -> ValidatorStatus:
    return ValidatorStatus(
        uid=uid,
        namespace=policy.metadata.namespace,
        name=policy.metadata.name,
        object_uid=policy.metadata.uid,
        registered_epoch=epoch,
    )


def _with_stakes(subnet: Subnet, rows: Iterable[ValidatorStatus]) -> tuple[ValidatorStatus, ...]:
    """The rows with the owner's stakes of now, and permits for the highest of them.

    The chain lets a newcomer wait one tempo for its permit. Here the owner gives the stake, so there is nothing to wait
    for, and a first epoch without any permit would be an epoch without consensus.
    """
    stakes = {entry.policy_ref.namespaced_name: entry.stake for entry in subnet.spec.validators}
    staked = [row.model_copy(update={"stake": stakes.get(NamespacedName(row.namespace, row.name), 0)}) for row in rows]
    # The chain's top k: of equal stakes the lower UID loses.
    ranked = sorted((row for row in staked if row.stake > 0), key=lambda row: (row.stake, row.uid), reverse=True)
    permitted = {row.uid for row in ranked[: subnet.spec.consensus.max_validators]}
    return tuple(row.model_copy(update={"permit": row.uid in permitted}) for row in staked)


def _arrival(one: ModelDeployment | ValidatorPolicy) -> tuple[str, str, str, str]:
    metadata = one.metadata
    return (metadata.creation_timestamp or "", metadata.namespace, metadata.name, metadata.uid)


def _uid(row: MinerStatus | ValidatorStatus) -> int:
    return row.uid
