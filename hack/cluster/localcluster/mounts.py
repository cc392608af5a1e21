"""The mount namespace of a node: what its programs would write outside our folders, they write into ours.

The kubelet and the CNI library have a few paths that no option changes, and the kubelet sets kernel parameters of the
host. In this namespace each of those paths is one of ours, so that nodes on one machine do not meet there and taking
one down restores nothing. Invariant: the host's own mounts never change but for the pin of the namespace itself.
"""

import contextlib
import os
import shlex
from pathlib import Path

from .console import run
from .layout import RUN_ROOT, Layout

_FOLDERS = {"/var/lib/kubelet": "kubelet", "/var/lib/cni": "cni-results", "/var/log/containers": "container-logs"}
_SYSCTLS = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)


def pin(layout: Layout) -> Path:
    """File that keeps the namespace while no process is in it; a mount of its own once the namespace exists."""
    return layout.run_dir / "mounts"


def ensure(layout: Layout) -> None:
    """Create the namespace unless it exists."""
    if os.path.ismount(pin(layout)):
        return
    binds: list[tuple[Path, str]] = []
    for target, name in _FOLDERS.items():
        source = layout.data_dir / name
        source.mkdir(exist_ok=True)
        Path(target).mkdir(parents=True, exist_ok=True)
        binds.append((source, target))
    for name in _SYSCTLS:
        source = layout.data_dir / "sysctl" / name
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text(Path("/proc/sys", name).read_text())
        binds.append((source, f"/proc/sys/{name}"))
    # A namespace can only be pinned on a mount that is not shared with others.
    run("mount", "--bind", str(layout.run_dir), str(layout.run_dir))
    run("mount", "--make-private", str(layout.run_dir))
    pin(layout).touch()
    script = "\n".join(f"mount --bind {shlex.quote(str(source))} {target}" for source, target in binds)
    run("unshare", f"--mount={pin(layout)}", "--propagation=slave", "sh", "-ec", script)


def remove_targets() -> None:
    """Remove the host's folders that were made to mount on, if they are empty and no other cluster needs them."""
    if not any(RUN_ROOT.glob("*/slot")):
        for target in _FOLDERS:
            with contextlib.suppress(OSError):
                Path(target).rmdir()
