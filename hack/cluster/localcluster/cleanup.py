"""Take down everything that a cluster has, or that a killed one has left.

Works from what the machine shows (the namespace's processes, the cgroup's, the mounts below our folders), not from
what was written down, so it needs no intact state. Invariant: it only touches what carries this cluster's name.
"""

import contextlib
import ctypes
import os
import shutil
import signal
from pathlib import Path

from . import mounts, network, processes
from .console import ClusterError, wait_for
from .layout import DATA_ROOT, RUN_ROOT, Layout

_CGROUPS = Path("/sys/fs/cgroup")
_MNT_DETACH = 2


def remove(layout: Layout) -> None:
    """Leave nothing behind: processes, mounts, namespace, link, cgroups, files. Absent things are fine."""
    _kill_all(layout)
    _unmount_all(layout)
    network.remove(layout)
    _remove_cgroups(layout)
    for folder in (layout.data_dir, layout.run_dir):
        if folder.exists():
            shutil.rmtree(folder)
    mounts.remove_targets()
    with contextlib.suppress(OSError):  # other clusters still live there
        DATA_ROOT.rmdir()


def leftovers(layout: Layout) -> list[str]:
    """Name everything of this cluster that is still on the machine."""
    found = [f"process {pid}" for pid in _alive(layout)]
    found += [f"mount {mount}" for mount in _mounts(layout)]
    found += [f"cgroup {folder}" for folder in _cgroups(layout)]
    paths = (layout.netns_path, Path("/sys/class/net") / layout.link, layout.data_dir, layout.run_dir)
    return found + [str(path) for path in paths if path.exists()]


def _kill_all(layout: Layout) -> None:
    def none_left() -> bool:
        alive = _alive(layout)
        for pid in alive:  # again and again: shims may start something until they are gone themselves
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not alive

    wait_for(f"all processes of {layout.name} have ended", none_left, 60, poll_s=0.05)


def _alive(layout: Layout) -> set[int]:
    daemons = {processes.pid_of(layout, name) for name in processes.recorded(layout)} - {None}
    pods = {
        int(pid) for folder in _cgroups(layout) for file in folder.rglob("cgroup.procs") for pid in _lines(file)
    }  # fmt: skip
    return (processes.inside(layout) | {pid for pid in daemons if pid} | pods) - {os.getpid()}


def _cgroups(layout: Layout) -> list[Path]:
    """Our folder in each hierarchy: one below each controller with cgroup v1, a single one with v2."""
    return [path for path in (_CGROUPS / layout.cgroup, *_CGROUPS.glob(f"*/{layout.cgroup}")) if path.is_dir()]


def _remove_cgroups(layout: Layout) -> None:
    def removed() -> bool:
        for top in _cgroups(layout):
            for folder in sorted((top, *(path for path in top.rglob("*") if path.is_dir())), reverse=True):
                with contextlib.suppress(OSError):  # busy until the last process has been reaped
                    folder.rmdir()
        return not _cgroups(layout)

    wait_for(f"the cgroups of {layout.name} are empty", removed, 30, poll_s=0.05)


def _unmount_all(layout: Layout) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    for mount in _mounts(layout):
        if libc.umount2(os.fsencode(mount), _MNT_DETACH) != 0:
            raise ClusterError(f"cannot unmount {mount}: {os.strerror(ctypes.get_errno())}")


def _mounts(layout: Layout) -> list[str]:
    """Mount points at or below our folders, innermost first."""
    ours = (DATA_ROOT / layout.name, RUN_ROOT / layout.name)
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [Path(line.split()[4].encode().decode("unicode_escape")) for line in lines]
    return [str(point) for point in reversed(points) if any(point.is_relative_to(folder) for folder in ours)]


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except OSError:
        return []
