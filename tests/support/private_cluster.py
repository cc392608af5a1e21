"""A control plane of this test run's own, whose API server may be killed."""

import os
from collections.abc import Iterator

import pytest

from cluster import LocalCluster

needs_own_cluster = pytest.mark.skipif(
    "CONTEXT" in os.environ, reason="kills an API server, which must not be the one that CONTEXT names"
)


def private_cluster(name: str) -> Iterator[LocalCluster]:
    """Up for the time of a fixture, then down."""
    cluster = LocalCluster(name, "control-plane")
    cluster.up()
    yield cluster
    cluster.down()
