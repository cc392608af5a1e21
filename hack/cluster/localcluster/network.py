"""The network namespace of a cluster and its link to the host.

Owns the namespace and one veth pair; never touches the host's firewall, forwarding or routes beyond the link's own /30.
Invariant: nothing inside has a default route, so no pod can leave the machine.
"""

import os
from pathlib import Path

from .console import run
from .layout import SERVICE_CIDR, Layout


def enter(layout: Layout, mounts: Path | None = None) -> list[str]:
    """Argv prefix that runs a command next to the node, and with `mounts` also in that mount namespace.

    `ip netns exec` would not do: it hides the cgroups under a new /sys.
    """
    return ["nsenter", f"--net={layout.netns_path}", *([f"--mount={mounts}"] if mounts else []), "--"]


def exists(layout: Layout) -> bool:
    """Tell whether the namespace is there and holds the node's end of the link."""
    return inode(layout) is not None and "eth0" in run(*enter(layout), "ip", "-o", "link", check=False)


def inode(layout: Layout) -> int | None:
    """Inode of the namespace, or None where the path is absent or a leftover file that is no namespace."""
    try:
        found = layout.netns_path.stat()
    except FileNotFoundError:
        return None
    own = Path("/proc/self/ns/net").stat()
    return found.st_ino if found.st_dev == own.st_dev and found.st_ino != own.st_ino else None


def create(layout: Layout) -> None:
    """Create namespace and link; call `remove` first if anything may be left of an earlier run."""
    inside = enter(layout)
    run("ip", "netns", "add", layout.netns)
    run("ip", "link", "add", layout.link, "type", "veth", "peer", "name", "eth0", "netns", layout.netns)
    run("ip", "addr", "add", f"{layout.host_ip}/30", "dev", layout.link)
    run("ip", "link", "set", layout.link, "up")
    run(*inside, "ip", "link", "set", "lo", "up")
    run(*inside, "ip", "addr", "add", f"{layout.node_ip}/30", "dev", "eth0")
    run(*inside, "ip", "link", "set", "eth0", "up")
    # Service addresses are rewritten after the routing decision: they need some route, and there is no default one.
    run(*inside, "ip", "route", "add", SERVICE_CIDR, "dev", "eth0")
    run(*inside, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")


def remove(layout: Layout) -> None:
    """Remove link and namespace; absent ones are fine."""
    run("ip", "link", "del", layout.link, check=False)
    run("ip", "netns", "del", layout.netns, check=False)
    if layout.netns_path.exists() and not os.path.ismount(layout.netns_path):
        layout.netns_path.unlink(missing_ok=True)
