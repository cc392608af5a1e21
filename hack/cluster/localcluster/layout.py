"""Who a cluster is: its name, folders, addresses. Pure but for claiming a free link address.

Invariant: two clusters on one machine share nothing that is named here. Pod and service addresses are the same in
every cluster, because they never leave its network namespace; only the link to the host needs addresses of its own.
"""

import hashlib
import ipaddress
import os
import re
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from .console import ClusterError, run
from .locks import hold

CHECKOUT = Path(__file__).resolve().parents[3]
RUN_ROOT = Path("/run/assay")
DATA_ROOT = Path("/var/lib/assay")
LINKS = ipaddress.ip_network("10.213.0.0/16")  # cut into /30: host, node
POD_CIDR = "10.128.0.0/12"
NODE_POD_CIDR = "10.128.0.0/24"  # the controller manager gives the first node the first /24
SERVICE_CIDR = "10.96.0.0/16"
API_SERVICE_IP = "10.96.0.1"
DNS_SERVICE_IP = "10.96.0.10"
NODE_NAME = "node"


@dataclass(frozen=True)
class Layout:
    """One cluster: every name and path derives from `name`, every host address from `slot`."""

    name: str
    slot: int

    @property
    def run_dir(self) -> Path:
        """Pids, sockets, runtime state; gone after a reboot."""
        return RUN_ROOT / self.name

    @property
    def data_dir(self) -> Path:
        """Keys, configuration, logs, etcd and container data; on disk."""
        return DATA_ROOT / self.name

    @property
    def netns(self) -> str:
        """Name of the network namespace that holds the whole node."""
        return f"assay-{self.name}"

    @property
    def netns_path(self) -> Path:
        """Where that namespace is mounted."""
        return Path("/run/netns") / self.netns

    @property
    def cgroup(self) -> str:
        """Parent cgroup of every pod of this cluster."""
        return f"assay-{self.name}"

    @property
    def link(self) -> str:
        """Host end of the veth pair (interface names have at most 15 characters)."""
        return f"assay{hashlib.sha256(self.name.encode()).hexdigest()[:8]}"

    @property
    def host_ip(self) -> str:
        """Our end of the link."""
        return str(LINKS[4 * self.slot + 1])

    @property
    def node_ip(self) -> str:
        """The node's end of the link, where the API server listens."""
        return str(LINKS[4 * self.slot + 2])

    @property
    def server(self) -> str:
        """URL of the API server, from the host and from inside the namespace."""
        return f"https://{self.node_ip}:6443"

    @property
    def pki(self) -> Path:
        """Keys and certificates."""
        return self.data_dir / "pki"

    @property
    def config(self) -> Path:
        """Configuration files and the kubeconfigs of the components."""
        return self.data_dir / "config"

    @property
    def kubeconfig(self) -> Path:
        """Admin kubeconfig, usable from the host."""
        return self.data_dir / "admin.kubeconfig"

    @property
    def audit_log(self) -> Path:
        """Audit log of the API server."""
        return self.data_dir / "audit" / "audit.log"

    @property
    def containerd_socket(self) -> Path:
        """Socket of containerd, for the kubelet and ctr."""
        return self.run_dir / "containerd.sock"

    def log(self, component: str) -> Path:
        """Output of one component."""
        return self.data_dir / "log" / f"{component}.log"

    def kubeconfig_of(self, user: str) -> Path:
        """Kubeconfig of one component."""
        return self.config / f"{user}.kubeconfig"


def full_name(name: str | None) -> str:
    """Return `NAME-xxxxxx`: the suffix is the checkout's, so two checkouts may both have a cluster NAME.

    `name` defaults to $ASSAY_CLUSTER, then to "dev".
    """
    short = name or os.environ.get("ASSAY_CLUSTER") or "dev"
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?", short):
        raise ClusterError(f"--name {short!r}: expected 1 to 20 of a-z, 0-9 and '-', not at either end")
    return f"{short}-{_suffix()}"


def names() -> list[str]:
    """Return the short names of this checkout's clusters that have been brought up."""
    return sorted(path.name.removesuffix(f"-{_suffix()}") for path in RUN_ROOT.glob(f"*-{_suffix()}"))


def _suffix() -> str:
    return hashlib.sha256(str(CHECKOUT).encode()).hexdigest()[:6]


def load(name: str) -> Layout | None:
    """Return the layout of a cluster that has been brought up, or None."""
    try:
        return Layout(name, int((RUN_ROOT / name / "slot").read_text()))
    except (FileNotFoundError, ValueError):
        return None


def claim(name: str) -> Layout:
    """Return the layout of `name`, claiming a free link address if it has none yet."""
    with lock("slots"):
        known = load(name)
        if known is not None:
            return known
        taken = {int(file.read_text() or -1) for file in RUN_ROOT.glob("*/slot")}
        on_host = run("ip", "-4", "-o", "addr")
        slots = LINKS.num_addresses // 4
        first = int(hashlib.sha256(name.encode()).hexdigest(), 16) % slots
        for step in range(slots):
            layout = Layout(name, (first + step) % slots)
            if layout.slot not in taken and f" {layout.host_ip}/" not in on_host:
                layout.run_dir.mkdir(parents=True, exist_ok=True)
                (layout.run_dir / "slot").write_text(str(layout.slot))
                return layout
    raise ClusterError(f"no free /30 left in {LINKS}: take a cluster down")


def lock(name: str) -> AbstractContextManager[None]:
    """Make two commands on one cluster take turns."""
    return hold(RUN_ROOT / ".locks" / name, f"working on {name}")
