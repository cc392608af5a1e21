"""Fixtures for tests against a real API server: the shared control plane, our CRDs in it, a namespace per test.

Owns no cluster: `hack/cluster` makes it, and it stays up after the tests, so that the next run starts at once. Tests
keep apart by namespace; whoever stops the API server takes a cluster of a name of their own.
"""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from kubernetes import client, config

from cluster import ROOT, LocalCluster

CRDS = ROOT / "crds"


@pytest.fixture(scope="session")
def cluster() -> LocalCluster:
    """The control plane for integration tests, or the cluster that $CONTEXT names."""
    shared = LocalCluster("it", "control-plane")
    shared.up()
    return shared


@pytest.fixture(scope="session")
def kubeconfig(cluster: LocalCluster) -> Path:
    """A kubeconfig with admin rights."""
    return cluster.kubeconfig


@pytest.fixture(scope="session")
def api_client(kubeconfig: Path) -> Iterator[client.ApiClient]:
    """A synchronous client with admin rights, from the `kubernetes` package."""
    connection = config.new_client_from_config(str(kubeconfig))
    yield connection
    connection.close()


@pytest.fixture(scope="session")
def crds_installed(cluster: LocalCluster) -> None:
    """Our kinds, as crds/ has them now, established."""
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(CRDS))
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(CRDS))


@pytest.fixture
def namespace(api_client: client.ApiClient) -> Iterator[str]:
    """A fresh namespace; it is deleted after the test, without waiting for its end."""
    core = client.CoreV1Api(api_client)
    name = f"test-{secrets.token_hex(4)}"
    core.create_namespace({"metadata": {"name": name, "labels": {"assay.dev/test": "integration"}}})
    yield name
    core.delete_namespace(name)


@pytest.fixture
def custom_objects(api_client: client.ApiClient, crds_installed: None) -> client.CustomObjectsApi:
    """The client for objects of our kinds."""
    return client.CustomObjectsApi(api_client)
