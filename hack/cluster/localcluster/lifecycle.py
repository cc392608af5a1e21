"""Up and down, as the sequence of steps that the other modules provide.

Invariant: a cluster's data lives exactly as long as one of its daemons. `up` on a cluster of which some daemon runs
starts only what is missing; with none left it clears the remains and begins anew.
"""

import socket
from pathlib import Path

from . import api, build, cleanup, components, debian, images, mounts, network, nodes, pki, processes
from .api import Admin
from .console import ClusterError, say, wait_for
from .layout import NODE_NAME, NODE_POD_CIDR, Layout, claim
from .processes import Daemon

PROFILES = {"control-plane": build.CONTROL_PLANE, "node": build.NODE}
_MANIFESTS = Path(__file__).resolve().parents[1] / "manifests"
_CGROUPS = Path("/sys/fs/cgroup")


def up(name: str, profile: str) -> Layout:
    """Bring the cluster to the point where its profile is ready to use; asks little of one that already is."""
    debian.ensure(node=profile == "node")
    build.ensure(PROFILES[profile])
    layout = claim(name)
    if not alive(layout):
        if cleanup.leftovers(layout) != [str(layout.run_dir)]:
            say(f"clearing the remains of an earlier {name}")
        cleanup.remove(layout)
        layout = claim(name)
        say(f"creating cluster {name}: keys, configuration, network namespace {layout.netns} ({layout.node_ip})")
        pki.create(layout)
        components.write_files(layout)
        network.create(layout)
    admin = _start_control_plane(layout)
    if profile == "node":
        _start_node(layout, admin)
    elif admin.get(f"/api/v1/nodes/{NODE_NAME}") is None:
        nodes.ensure_fake_nodes(layout, admin, 1)
    say(f"cluster {name} is ready ({profile}): export KUBECONFIG={layout.kubeconfig}")
    return layout


def alive(layout: Layout) -> bool:
    """Tell whether there is something worth keeping: the network, and any daemon in it."""
    running = any(processes.pid_of(layout, name) is not None for name in processes.recorded(layout))
    return running and network.exists(layout)


def daemon_of(layout: Layout, component: str) -> Daemon:
    """Return the daemon called `component`, such as kube-apiserver, or apiserver for short."""
    known = [*components.control_plane(layout), components.kwok(layout), *components.node(layout)]
    for daemon in known:
        if component in (daemon.name, daemon.name.removeprefix("kube-")):
            return daemon
    raise ClusterError(f"component {component!r}: expected one of {', '.join(daemon.name for daemon in known)}")


def _start_control_plane(layout: Layout) -> Admin:
    etcd, apiserver, *others = components.control_plane(layout)
    if any(processes.pid_of(layout, daemon.name) is None for daemon in (etcd, apiserver, *others)):
        say("starting the control plane")
    processes.start(layout, etcd)
    processes.start(layout, apiserver)
    admin = api.wait_ready(layout)
    for daemon in others:
        processes.start(layout, daemon)
    api.wait_for_default_account(layout, admin)
    return admin


def _start_node(layout: Layout, admin: Admin) -> None:
    containerd, kubelet, proxy = components.node(layout)
    fresh = processes.pid_of(layout, containerd.name) is None
    if fresh:
        say("starting the node")
    _make_cgroups(layout)
    mounts.ensure(layout)
    processes.start(layout, containerd)
    wait_for("containerd listens", lambda: _containerd_listens(layout), 60, f"See {layout.log(containerd.name)}")
    processes.start(layout, kubelet)
    processes.start(layout, proxy)
    if fresh:
        images.load_system_images(layout)
    api.kubectl(layout, "apply", "--server-side", "--force-conflicts", "-f", str(_MANIFESTS / "coredns.yaml"))

    def node_ready() -> bool:
        for daemon in (containerd, kubelet, proxy):
            processes.check(layout, daemon.name)
        return api.node_is_ready(admin)

    wait_for("the node is Ready", node_ready, 120, f"See {layout.log(kubelet.name)}")
    node = admin.get(f"/api/v1/nodes/{NODE_NAME}")
    cidr = node["spec"].get("podCIDR") if node else None
    if cidr != NODE_POD_CIDR:
        raise ClusterError(f"node {NODE_NAME} has podCIDR {cidr}, its network {NODE_POD_CIDR}: `down`, then `up` again")
    dns = "/apis/apps/v1/namespaces/kube-system/deployments/coredns"
    wait_for(
        "CoreDNS is available",
        lambda: api.has_condition(admin.get(dns), "Available"),
        120,
        f"Try: {build.client_folder()}/kubectl --kubeconfig={layout.kubeconfig} -n kube-system describe pods",
    )


def _containerd_listens(layout: Layout) -> bool:
    processes.check(layout, build.CONTAINERD.name)
    with socket.socket(socket.AF_UNIX) as client:  # a socket file alone may be a killed containerd's
        return client.connect_ex(str(layout.containerd_socket)) == 0


def _make_cgroups(layout: Layout) -> None:
    """Make the parent of all pods' cgroups, which the kubelet expects to exist, in every hierarchy."""
    if (_CGROUPS / "cgroup.controllers").exists():
        top = _CGROUPS / layout.cgroup
        top.mkdir(exist_ok=True)
        wanted = (_CGROUPS / "cgroup.controllers").read_text().split()
        for folder in (_CGROUPS, top):
            (folder / "cgroup.subtree_control").write_text(" ".join(f"+{controller}" for controller in wanted))
        return
    for hierarchy in _CGROUPS.iterdir():
        if hierarchy.is_dir() and not hierarchy.is_symlink() and hierarchy.name != "unified":
            (hierarchy / layout.cgroup).mkdir(exist_ok=True)
    cpuset = _CGROUPS / "cpuset"
    for setting in ("cpuset.cpus", "cpuset.mems"):  # empty in a new group, and then no process may enter it
        if (cpuset / layout.cgroup / setting).exists():
            (cpuset / layout.cgroup / setting).write_text((cpuset / setting).read_text())
