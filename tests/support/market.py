"""Builders of subnets, validators and reports with defaults, and a small world that carries plans out.

The world is no API server: it holds what a planner reads and does to it what a plan says, so that planners can be
driven through epochs in memory. What the API server makes of the same effects is the integration tests' business.
"""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from assay.api import ModelDeployment, NamespacedName, ScoreReport, Subnet, ValidatorPolicy
from assay.desired.bonds import DATA_KEY
from assay.desired.names import LABEL_EPOCH
from assay.desired.scoring_job import ANNOTATION_ASSIGNMENT, ASSIGNMENT_KEY
from assay.planning import subnet as subnet_planner
from assay.planning import validatorpolicy as validator_planner
from assay.planning.plan import Create, Delete, Effect, Emit, Plan
from assay.planning.subnet_draft import Snapshot as SubnetSnapshot
from assay.planning.subnet_draft import StoredChunk
from assay.planning.validator_draft import Settings, StoredAssignment, StoredJob
from assay.planning.validator_draft import Snapshot as ValidatorSnapshot

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
SETTINGS = Settings(scorer_image="registry.example/assay:1", challenge_secret=bytes(32))
API = "assay.dev/v1alpha1"


def metadata(name: str, namespace: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "namespace": namespace,
        "uid": f"uid-{namespace}-{name}",
        "resourceVersion": "1",
        "generation": 1,
        "creationTimestamp": "2026-11-24T11:00:00Z",
        **more,
    }


def subnet(stakes: dict[str, int] | None = None, *, status: dict[str, Any] | None = None, **spec: Any) -> Subnet:
    """A subnet demo/embeddings that admits all namespaces; validator `v` lives in namespace `v`."""
    stakes = {"val-a": 1000, "val-b": 1000, "val-c": 1000} if stakes is None else stakes
    body = {
        "task": {"kind": "Embedding", "model": {"name": "minilm"}},
        "epoch": {"length": "60s", "scoringWindow": "40s", "historyLimit": 3},
        "members": {"allowedNamespaces": {"from": "All"}},
        "validators": [{"policyRef": {"namespace": name, "name": name}, "stake": n} for name, n in stakes.items()],
        **spec,
    }
    return Subnet.parse(
        {
            "apiVersion": API,
            "kind": "Subnet",
            "metadata": metadata("embeddings", "demo"),
            "spec": body,
            "status": status or {},
        }
    )


def miner(name: str, *, ready: bool = True, created: str = "2026-11-24T11:00:00Z", **meta: Any) -> ModelDeployment:
    """A miner of demo/embeddings in a namespace of its own name."""
    condition = {
        "type": "Ready",
        "status": "True" if ready else "False",
        "reason": "Tested",
        "message": "",
        "lastTransitionTime": created,
    }
    return ModelDeployment.parse(
        {
            "apiVersion": API,
            "kind": "ModelDeployment",
            "metadata": metadata(name, name, creationTimestamp=created, **meta),
            "spec": {
                "subnetRef": {"namespace": "demo", "name": "embeddings"},
                "model": {"name": "minilm"},
                "endpoint": {"url": f"grpc://{name}.example:8001"},
            },
            "status": {"conditions": [condition]},
        }
    )


def policy(
    name: str, *, status: dict[str, Any] | None = None, meta: dict[str, Any] | None = None, **spec: Any
) -> ValidatorPolicy:
    """A validator of demo/embeddings in a namespace of its own name, with an external reference."""
    body = {
        "subnetRef": {"namespace": "demo", "name": "embeddings"},
        "challenge": {"samplesPerMiner": 4, "random": {"kind": "Sentences"}},
        "reference": {"endpoint": {"url": "grpc://reference.example:8001"}},
        **spec,
    }
    return ValidatorPolicy.parse(
        {
            "apiVersion": API,
            "kind": "ValidatorPolicy",
            "metadata": metadata(name, name, **(meta or {})),
            "spec": body,
            "status": status or {},
        }
    )


def report(
    validator: ValidatorPolicy,
    of: Subnet,
    epoch: int,
    weights: dict[int, int] | None,
    *,
    name: str,
    digest: str,
    created: datetime = NOON,
    **spec: Any,
) -> ScoreReport:
    """A report of `validator`; without weights it reports a failure."""
    scores = [
        {"uid": uid, "weight": weight, "samples": 4, "qualityPpm": weight * 15}
        for uid, weight in (weights or {}).items()
    ]
    moment = created.strftime("%Y-%m-%dT%H:%M:%SZ")
    body = {
        "subnet": {"namespace": "demo", "name": "embeddings", "uid": of.metadata.uid},
        "epoch": epoch,
        "validator": {"name": validator.metadata.name, "uid": validator.metadata.uid},
        "assignmentDigest": digest,
        "startedAt": moment,
        "finishedAt": moment,
        **({"scores": scores} if weights is not None else {"failure": {"reason": "ReferenceUnavailable"}}),
        **spec,
    }
    meta = metadata(name, validator.metadata.namespace, creationTimestamp=moment)
    return ScoreReport.parse({"apiVersion": API, "kind": "ScoreReport", "metadata": meta, "spec": body})


@dataclass
class World:
    """A subnet with its parties, and what plans have made so far."""

    subnet: Subnet
    miners: list[ModelDeployment]
    policies: dict[str, ValidatorPolicy]
    now: datetime = NOON
    namespace_labels: dict[str, dict[str, str]] = field(default_factory=dict)
    chunks: dict[str, StoredChunk] = field(default_factory=dict)
    assignments: dict[str, StoredAssignment] = field(default_factory=dict)
    jobs: dict[str, StoredJob] = field(default_factory=dict)
    reports: dict[str, ScoreReport] = field(default_factory=dict)
    events: list[Emit] = field(default_factory=list)

    @classmethod
    def of(cls, miners: int = 3, **spec: Any) -> "World":
        """A world with miners m-0, m-1, … and the three validators of `subnet`."""
        market = subnet(**spec)
        names = [entry.policy_ref.name for entry in market.spec.validators]
        return cls(market, [miner(f"m-{i}") for i in range(miners)], {name: policy(name) for name in names})

    def pass_time(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def snapshot(self) -> SubnetSnapshot:
        return SubnetSnapshot(
            subnet=self.subnet,
            deployments=tuple(self.miners),
            policies={NamespacedName(name, name): one for name, one in self.policies.items()},
            namespace_labels=self.namespace_labels,
            reports={str(one.metadata.namespaced_name): one for one in self.reports.values()},
            chunks=dict(self.chunks),
        )

    def validator_snapshot(self, name: str) -> ValidatorSnapshot:
        one = self.policies[name]
        return ValidatorSnapshot(
            policy=one,
            subnet=self.subnet,
            deployments={m.metadata.uid: m for m in self.miners},
            reference=None,
            assignments={n: a for n, a in self.assignments.items() if n.startswith(f"{name}-")},
            jobs={n: j for n, j in self.jobs.items() if n.startswith(f"{name}-")},
            reports={n: r for n, r in self.reports.items() if n.startswith(f"{name}-")},
            settings=SETTINGS,
        )

    def plan(self) -> Plan:
        return subnet_planner.plan(self.snapshot(), self.now)

    def step(self) -> Plan:
        """One pass of the subnet's controller."""
        done = self.plan()
        self._run(done.effects)
        if done.status is not None:
            self.subnet = self.subnet.model_copy(
                update={"status": type(self.subnet.status).model_validate(done.status)}
            )
        return done

    def step_validator(self, name: str) -> Plan:
        """One pass of a validator's controller."""
        done = validator_planner.plan(self.validator_snapshot(name), self.now)
        self._run(done.effects)
        if done.status is not None:
            one = self.policies[name]
            self.policies[name] = one.model_copy(update={"status": type(one.status).model_validate(done.status)})
        return done

    def settle(self, passes: int = 8) -> None:
        """Passes of all controllers until nothing changes any more."""
        for _ in range(passes):
            before = (self.subnet, dict(self.policies), dict(self.jobs), dict(self.assignments), dict(self.chunks))
            self.step()
            for name in self.policies:
                self.step_validator(name)
            if before == (self.subnet, self.policies, self.jobs, self.assignments, self.chunks):
                return
        raise AssertionError("the plans do not come to rest")

    def file(self, name: str, weights: dict[int, int] | None) -> ScoreReport:
        """The validator's scorer files its report for the open epoch."""
        epoch = self.subnet.status.epoch
        assert epoch is not None
        job = next(job for job in self.jobs.values() if job.name.startswith(f"{name}-{epoch.number}-"))
        filed = report(
            self.policies[name],
            self.subnet,
            epoch.number,
            weights,
            name=job.name,
            digest=job.assignment_digest,
            created=self.now,
        )
        self.reports[job.name] = filed
        self.jobs[job.name] = replace(job, finished=True)
        return filed

    def run_epoch(self, weights: dict[str, dict[int, int] | None]) -> None:
        """A whole epoch: opens, is scored by those in `weights`, and is committed at quorum or deadline."""
        self.settle()
        for name, row in weights.items():
            self.file(name, row)
        self.settle()
        self.pass_time(40)
        self.settle()
        self.pass_time(20)

    def _run(self, effects: tuple[Effect, ...]) -> None:
        for effect in effects:
            match effect:
                case Create(manifest):
                    self._create(dict(manifest))
                case Delete(_, kind, _, name, _):
                    for kept in (
                        (self.chunks, self.assignments)
                        if kind == "ConfigMap"
                        else (self.jobs,)
                        if kind == "Job"
                        else (self.reports,)
                    ):
                        kept.pop(name, None)
                case Emit():
                    self.events.append(effect)

    def _create(self, manifest: dict[str, Any]) -> None:
        meta = manifest["metadata"]
        name, epoch = meta["name"], int(meta["labels"][LABEL_EPOCH])
        if manifest["kind"] == "Job":
            digest = meta["annotations"][ANNOTATION_ASSIGNMENT]
            self.jobs.setdefault(name, StoredJob(name, f"uid-{name}", epoch, digest, finished=False))
        elif ASSIGNMENT_KEY in manifest["data"]:
            self.assignments.setdefault(
                name, StoredAssignment(name, f"uid-{name}", epoch, manifest["data"][ASSIGNMENT_KEY])
            )
        else:
            self.chunks.setdefault(name, StoredChunk(name, f"uid-{name}", epoch, manifest["data"][DATA_KEY]))
