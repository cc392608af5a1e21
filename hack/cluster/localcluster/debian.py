"""Programs of the host that a cluster needs; installed from Debian where that is possible."""

import os
import shutil
from pathlib import Path

from .console import ClusterError, follow, say

# package: what shows that it is there (a program, or a file)
_CONTROL_PLANE = {"iproute2": "ip", "openssl": "openssl", "util-linux": "nsenter"}
_NODE = {
    "runc": "runc",
    "containernetworking-plugins": "/usr/lib/cni/bridge",
    "nftables": "nft",
    "iptables": "iptables",
}
_SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")


def ensure(*, node: bool) -> None:
    """Install what is missing.

    Raises:
        ClusterError: something is missing and this machine has no apt-get.
    """
    needed = _CONTROL_PLANE | (_NODE if node else {})
    missing = sorted(package for package, sign in needed.items() if not _present(sign))
    if not missing:
        return
    if shutil.which("apt-get") is None:
        raise ClusterError(f"missing on this machine: {', '.join(missing)} (Debian package names): install them")
    say(f"installing from Debian: {' '.join(missing)}")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    # Another apt may be running: wait for its lock instead of failing.
    apt = ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=300"]
    follow("reading the package lists", [*apt, "update"], env=environment)
    install = [*apt, "install", "-y", "--no-install-recommends", *missing]
    follow(f"installing {' '.join(missing)}", install, env=environment)


def _present(sign: str) -> bool:
    if sign.startswith("/"):
        return Path(sign).exists()
    search = os.pathsep.join([os.environ.get("PATH", ""), *_SYSTEM_FOLDERS])
    return shutil.which(sign, path=search) is not None
