"""Nodes as the scheduler sees them: fake ones run by kwok, and GPUs that are only numbers in a node's status."""

from typing import Any

from . import build, components, processes
from .api import Admin, node_is_ready
from .console import ClusterError, say, wait_for
from .layout import NODE_NAME, Layout

_FAKE = "kwok.x-k8s.io/node"
_GPU = "nvidia.com/gpu"


def ensure_fake_nodes(layout: Layout, admin: Admin, count: int) -> None:
    """Have at least `count` fake nodes, `kwok-0` and on, Ready; starts kwok if it does not run.

    Next to a real node they carry a taint, so that real pods stay off them: pods tolerate `kwok.x-k8s.io/node`
    to be placed there.
    """
    tainted = admin.get(f"/api/v1/nodes/{NODE_NAME}") is not None
    processes.start(layout, components.kwok(layout))
    names = [f"kwok-{number}" for number in range(count)]
    for name in names:
        admin.apply(f"/api/v1/nodes/{name}", _fake_node(name, tainted=tainted))
    pending = set(names)

    def all_ready() -> bool:
        processes.check(layout, build.KWOK.name)
        pending.difference_update([name for name in pending if node_is_ready(admin, name)])
        return not pending

    wait_for(f"{count} fake nodes are Ready", all_ready, 60 + count, f"See {layout.log(build.KWOK.name)}")


def set_gpus(admin: Admin, node: str, count: int) -> None:
    """Give a node `count` GPUs: the scheduler counts them and the kubelet admits pods that ask for one."""
    if count < 0:
        raise ClusterError(f"node-gpu {count}: expected 0 or more")
    if admin.get(f"/api/v1/nodes/{node}") is None:
        raise ClusterError(f"node-gpu: there is no node {node!r}; `cluster status` lists them")
    amounts = {_GPU: str(count)}
    admin.merge(f"/api/v1/nodes/{node}/status", {"status": {"capacity": amounts, "allocatable": amounts}})
    say(f"node {node} has {count} x {_GPU}")


def _fake_node(name: str, *, tainted: bool) -> dict[str, Any]:
    labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "type": "kwok"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "annotations": {_FAKE: "fake"}, "labels": labels},
        "spec": {"taints": [{"key": _FAKE, "value": "fake", "effect": "NoSchedule"}] if tainted else []},
    }
