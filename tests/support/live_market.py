"""A market on the real API server, with the operator at work on it and everything that it does on record.

Owns a namespace, the objects that users apply to it, the scorers, and watches of the test's own over all of it. What
has to hold of every epoch, whatever happened meanwhile, is asked of the record: see `Record`.
"""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from installed_chart import Installation, path_of
from live_watch import Object, Watch
from scorers import Scorers

API_VERSION = "assay.dev/v1alpha1"
LABEL_TRITON = "app.kubernetes.io/name=triton"
EPOCH_S = 10
WINDOW_S = 6
SOON_S = 5
"""How soon what is wrong with an object has to stand in its conditions."""


@dataclass(frozen=True)
class Commit:
    """One committed epoch as a subnet's status showed it."""

    number: int
    state_digest: str
    inputs_digest: str
    committed_at: str
    received: int


class Record:
    """Everything that was seen in a namespace, from the watches' own connection."""

    def __init__(self, server: Installation, namespace: str) -> None:
        core, batch, apps = "/api/v1/namespaces/", "/apis/batch/v1/namespaces/", "/apis/apps/v1/namespaces/"
        self.subnets = Watch(server, path_of("subnets", namespace))
        self.policies = Watch(server, path_of("validatorpolicies", namespace))
        self.deployments = Watch(server, path_of("modeldeployments", namespace))
        self.reports = Watch(server, path_of("scorereports", namespace))
        self.config_maps = Watch(server, f"{core}{namespace}/configmaps")
        self.jobs = Watch(server, f"{batch}{namespace}/jobs")
        self.workloads = Watch(server, f"{apps}{namespace}/deployments")
        self.pods = Watch(server, f"{core}{namespace}/pods?labelSelector={LABEL_TRITON}")

    @property
    def watches(self) -> tuple[Watch, ...]:
        """All of them."""
        return (
            *(self.subnets, self.policies, self.deployments, self.reports),
            *(self.config_maps, self.jobs, self.workloads, self.pods),
        )

    def commits(self, subnet: str) -> list[Commit]:
        """Every commit of a subnet that the watch showed, in order; one that was shown twice unchanged counts once."""
        found: list[Commit] = []
        for _, obj in self.subnets.events():
            committed = obj.get("status", {}).get("committed")
            if obj["metadata"]["name"] != subnet or committed is None:
                continue
            commit = Commit(
                committed["number"],
                committed["stateDigest"],
                committed["inputsDigest"],
                committed["committedAt"],
                committed["reports"]["received"],
            )
            if not found or found[-1] != commit:
                found.append(commit)
        return found

    def opened(self, subnet: str) -> list[tuple[int, str]]:
        """Every epoch of a subnet that opened: number and start."""
        found: list[tuple[int, str]] = []
        for _, obj in self.subnets.events():
            epoch = obj.get("status", {}).get("epoch")
            if obj["metadata"]["name"] == subnet and epoch is not None:
                opening = (epoch["number"], epoch["startedAt"])
                if not found or found[-1] != opening:
                    found.append(opening)
        return found

    def job_uids(self) -> dict[str, set[str]]:
        """UIDs of every Job that ever was, by name."""
        found: dict[str, set[str]] = defaultdict(set)
        for _, job in self.jobs.events():
            found[job["metadata"]["name"]].add(job["metadata"]["uid"])
        return found

    def pod_uids(self) -> set[str]:
        """UIDs of every serving pod that ever was."""
        return {pod["metadata"]["uid"] for _, pod in self.pods.events()}

    def generations(self) -> dict[str, set[int]]:
        """Generations of every Deployment: a rollout makes a new one."""
        found: dict[str, set[int]] = defaultdict(set)
        for _, obj in self.workloads.events():
            found[obj["metadata"]["name"]].add(obj["metadata"]["generation"])
        return found

    def check_epochs(self, subnet: str) -> int:
        """No epoch was lost, and none committed twice. Returns how many there were."""
        commits = self.commits(subnet)
        numbers = [commit.number for commit in commits]
        assert numbers == list(range(1, len(numbers) + 1)), f"{subnet}: each epoch once, without gap: {numbers}"
        opened = [number for number, _ in self.opened(subnet)]
        assert opened == list(range(1, len(opened) + 1)), f"{subnet}: epochs open once and in order: {opened}"
        return len(numbers)


class Market:
    """Users' side of a namespace: apply things, and wait for what becomes of them."""

    def __init__(self, server: Installation, namespace: str) -> None:
        self.server = server
        self.namespace = namespace
        self.record = Record(server, namespace)
        self.scorers = Scorers(server, namespace)

    def apply_subnet(self, name: str = "market", *, stakes: dict[str, int] | None = None, **spec: Any) -> Object:
        """A subnet with epochs of the shortest kind, whose validators have these stakes."""
        stakes = {"val-a": 1000, "val-b": 1000} if stakes is None else stakes
        return self.create(
            "subnets",
            "Subnet",
            name,
            {
                "task": {"kind": "Tensor", "model": {"name": "double", "version": "1"}},
                "epoch": {"length": f"{EPOCH_S}s", "scoringWindow": f"{WINDOW_S}s", "historyLimit": 3},
                "validators": [
                    {"policyRef": {"namespace": self.namespace, "name": validator}, "stake": stake}
                    for validator, stake in stakes.items()
                ],
                **spec,
            },
        )

    def apply_miner(self, name: str, subnet: str | None = "market", **spec: Any) -> Object:
        """A miner whose pods kwok runs; give `endpoint` for one elsewhere."""
        body = {"model": {"name": "double", "version": "1"}, **spec}
        if subnet is not None:
            body["subnetRef"] = {"name": subnet}
        if "endpoint" not in body:
            body.setdefault("triton", {"source": {"configMap": {"name": "model"}}})
        return self.create("modeldeployments", "ModelDeployment", name, body)

    def apply_validator(self, name: str, subnet: str = "market", **spec: Any) -> Object:
        """A validator with a reference elsewhere."""
        body = {
            "subnetRef": {"namespace": self.namespace, "name": subnet},
            "challenge": {"samplesPerMiner": 4, "random": {"kind": "Tensor"}},
            "reference": {"endpoint": {"url": "grpcs://reference.example:8001"}},
            **spec,
        }
        return self.create("validatorpolicies", "ValidatorPolicy", name, body)

    def apply_all(self, subnet: str = "market", *, miners: int = 2, validators: int = 2, **spec: Any) -> None:
        """A whole market: miners and validators named after the subnet, so that several fit into a namespace.

        The subnet comes last and when the operator knows the others, so that its first epoch is everybody's.
        """
        names = [f"{subnet}-v{number}" for number in range(validators)]
        for number in range(miners):
            self.apply_miner(f"{subnet}-m{number}", subnet)
        for name in names:
            self.apply_validator(name, subnet)
        for name in names:
            self.wait_condition(self.record.policies, name, "Permitted", reason="SubnetNotFound", timeout_s=30)
        self.record.deployments.wait(
            lambda: all(self.is_known(f"{subnet}-m{number}") for number in range(miners)), "the miners are known"
        )
        self.apply_subnet(subnet, stakes=dict.fromkeys(names, 1000), **spec)

    def is_known(self, miner: str) -> bool:
        """Whether the operator has looked at a miner: it has an address."""
        return "addresses" in (self.record.deployments.get(miner) or {}).get("status", {})

    def create(self, plural: str, kind: str, name: str, spec: dict[str, Any]) -> Object:
        """One of our objects."""
        body = {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}
        return self.server.must("POST", path_of(plural, self.namespace), body)

    def delete(self, path: str) -> None:
        """Delete by hand, as an administrator."""
        self.server.must("DELETE", path, {"propagationPolicy": "Background"})

    def core(self, plural: str, name: str = "") -> str:
        """The address of a built-in object of the core group."""
        return f"/api/v1/namespaces/{self.namespace}/{plural}/{name}".rstrip("/")

    def subnet(self, name: str = "market") -> Object:
        """The subnet as the watch shows it."""
        found = self.record.subnets.get(name)
        assert found is not None, f"no subnet {name}"
        return found

    def committed(self, subnet: str = "market") -> int:
        """Number of its last committed epoch."""
        found = self.record.subnets.get(subnet)
        return int(((found or {}).get("status", {}).get("committed") or {}).get("number", 0))

    def wait_committed(self, number: int, subnet: str = "market", timeout_s: float = 45) -> None:
        """Wait until the epoch is committed."""
        what = f"epoch {number} of {subnet} is committed"
        try:
            self.record.subnets.wait(lambda: self.committed(subnet) >= number, what, timeout_s)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.describe(subnet)}") from None

    def describe(self, subnet: str = "market") -> str:
        """How things stand, for the message of a failed wait."""
        status = (self.record.subnets.get(subnet) or {}).get("status", {})
        policies = {one["metadata"]["name"]: one.get("status", {}) for one in self.record.policies.objects()}
        return "\n".join(
            [
                f"epoch: {status.get('epoch')}",
                f"committed: {status.get('committed')}",
                f"rejected: {status.get('rejectedReports')}",
                f"jobs: {sorted(one['metadata']['name'] for one in self.record.jobs.objects())}",
                f"reports: {sorted(one['metadata']['name'] for one in self.record.reports.objects())}",
                f"scorers: filed {self.scorers.filed}, failed {self.scorers.failures}, refused {self.scorers.refused}",
                *(f"{name}: {_told(one)}" for name, one in policies.items()),
            ]
        )

    def wait_condition(
        self, watch: Watch, name: str, type_: str, *, reason: str, status: str = "False", timeout_s: float = SOON_S
    ) -> Object:
        """Wait until an object's condition has this reason. Returns the condition."""

        def found() -> Object | None:
            one = condition(watch.get(name), type_)
            return one if one is not None and (one["reason"], one["status"]) == (reason, status) else None

        try:
            watch.wait(found, f"{name}: {type_} is {status} for {reason}", timeout_s)
        except AssertionError as error:
            raise AssertionError(f"{error}; it is {condition(watch.get(name), type_)}") from None
        result = found()
        assert result is not None
        return result


def _told(status: Object) -> list[str]:
    return [" ".join(one[key] for key in ("type", "status", "reason", "message")) for one in status["conditions"]]


def condition(obj: Object | None, type_: str) -> Object | None:
    """A condition of an object."""
    conditions = ((obj or {}).get("status") or {}).get("conditions") or ()
    return next((one for one in conditions if one["type"] == type_), None)


@contextmanager
def running_market(server: Installation, prefix: str = "op") -> Iterator[Market]:
    """A fresh namespace with a market's record and scorers; gone afterwards, without waiting for the end of it."""
    namespace = f"{prefix}-{secrets.token_hex(3)}"
    server.must("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
    market = Market(server, namespace)
    with ExitStack() as stack:
        stack.callback(_forget, server, namespace)
        for watch in market.record.watches:
            stack.enter_context(watch)
        stack.enter_context(market.scorers)
        yield market


def _forget(server: Installation, namespace: str) -> None:
    """Delete what the operator works on first, so that it has nothing left to do in a namespace that goes."""
    for plural in ("subnets", "validatorpolicies", "modeldeployments"):
        server.request("DELETE", path_of(plural, namespace))
    server.request("DELETE", f"/api/v1/namespaces/{namespace}")
