"""Fixtures for tests of the running operator: a control plane of its own with the chart, and replicas as processes.

The chart brings roles, admission policies and CRDs; its Deployment has no replicas, for the operator runs beside the
tests, where it can be killed and stopped. The operator looks at all namespaces, so these tests run one at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

from audit import AuditLog
from cluster import LocalCluster
from installed_chart import EVERYTHING_OF_OURS, MERGE, Installation, wait_for_enforcement
from live_market import Market, running_market
from operator_process import LEASE, OperatorProcess, operator_kubeconfig

__all__ = ["audit", "market", "operator", "replicas", "stage"]

StartReplica = Callable[[str], OperatorProcess]


@cache
def prepared(name: str = "op") -> Installation:
    """The cluster of this name with the chart, once a test run; it is left up for the next."""
    cluster = LocalCluster(name=name, profile="control-plane")
    if not cluster.owned:
        pytest.skip("kills and audits, which a cluster of the user's own is not there for")
    cluster.up()
    server = Installation(cluster)
    server.install("--set=replicaCount=0", "--force-conflicts")
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=EVERYTHING_OF_OURS)
    wait_for_enforcement(server)
    return server


@pytest.fixture(scope="module")
def stage() -> Installation:
    """The API server with everything of assay but a running operator."""
    return prepared()


@contextmanager
def making_replicas(server: Installation, folder: Path) -> Iterator[StartReplica]:
    """Makes replicas by identity, not yet started; all end with the context. Nobody holds the Lease at first."""
    server.request("PATCH", LEASE, {"spec": None}, content_type=MERGE)
    made: list[OperatorProcess] = []
    kubeconfig = operator_kubeconfig(server, folder)

    def make(identity: str) -> OperatorProcess:
        made.append(OperatorProcess(kubeconfig, folder, identity))
        return made[-1]

    try:
        yield make
    finally:
        for replica in made:
            replica.close()


@pytest.fixture
def replicas(stage: Installation, tmp_path: Path) -> Iterator[StartReplica]:
    """Makes replicas that end with the test."""
    with making_replicas(stage, tmp_path) as make:
        yield make


@pytest.fixture
def operator(replicas: StartReplica) -> OperatorProcess:
    """One replica that leads and reconciles."""
    replica = replicas("assay-0")
    replica.start_and_lead()
    return replica


@pytest.fixture
def market(stage: Installation) -> Iterator[Market]:
    """A namespace with its record and its scorers."""
    with running_market(stage) as one:
        yield one


@pytest.fixture
def audit(stage: Installation) -> AuditLog:
    """The audit log from the start of the test on."""
    return AuditLog(stage.cluster.audit_log_path)
