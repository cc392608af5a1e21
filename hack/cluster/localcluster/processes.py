"""Daemons of a cluster: started into its namespace, found again by pid and start time, stopped.

Owns `pids/` of the run folder. Invariant: a signal only ever goes to a process that this cluster started: a recorded
pid counts only with the start time recorded beside it, so a reused pid is never touched.
"""

import contextlib
import os
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from .console import ClusterError, wait_for
from .layout import Layout
from .mounts import pin
from .network import enter, inode

_SC_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Daemon:
    """A program to keep running.

    `environment` is added to ours; `of_node` puts it into the node's mount namespace, which must exist then.
    """

    name: str
    argv: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    of_node: bool = False


def start(layout: Layout, daemon: Daemon) -> None:
    """Start `daemon` inside the namespace unless it runs already; its output goes to its log."""
    if pid_of(layout, daemon.name) is not None:
        return
    log = layout.log(daemon.name)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        # nsenter executes the program in its own place, so this pid is the daemon's.
        process = subprocess.Popen(
            [*enter(layout, pin(layout) if daemon.of_node else None), *daemon.argv],
            cwd="/", env=os.environ | daemon.environment, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        )  # fmt: skip
    record = _record(layout, daemon.name)
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text(f"{process.pid} {_start_time(process.pid)}")
    process.returncode = 0  # it outlives us on purpose: no warning that it was never waited for


def stop(layout: Layout, name: str, how: signal.Signals = signal.SIGKILL) -> None:
    """Send `how` and wait until the daemon is gone; one that does not run is fine."""
    pid = pid_of(layout, name)
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, how)
        wait_for(f"{name} has ended", lambda: pid_of(layout, name) is None, 90, f"pid {pid}", poll_s=0.02)
    _record(layout, name).unlink(missing_ok=True)


def pid_of(layout: Layout, name: str) -> int | None:
    """Return the pid of a daemon that runs, or None."""
    try:
        pid, started = _record(layout, name).read_text().split()
    except (FileNotFoundError, ValueError):
        return None
    return int(pid) if _start_time(int(pid)) == started else None


def recorded(layout: Layout) -> list[str]:
    """Names of all daemons that were started and not stopped, whether or not they still run."""
    return sorted(file.name for file in (layout.run_dir / "pids").glob("*"))


def check(layout: Layout, name: str) -> None:
    """Raise ClusterError with the end of its log if the daemon has died."""
    if pid_of(layout, name) is None:
        tail = layout.log(name).read_text(errors="replace")[-1500:] if layout.log(name).exists() else "(no log)"
        raise ClusterError(f"{name} has ended; its log ({layout.log(name)}) closes with:\n{tail}")


def resident_mib(pid: int) -> float:
    """Resident memory of one process in MiB, 0 if it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _SC_PAGE / 2**20
    except (FileNotFoundError, ProcessLookupError):
        return 0.0


def inside(layout: Layout) -> set[int]:
    """Pids of all living processes in the cluster's network namespace, recorded or not."""
    wanted = inode(layout)
    found = set()
    for entry in Path("/proc").iterdir() if wanted is not None else ():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and (entry / "ns/net").stat().st_ino == wanted:
                found.add(int(entry.name))
    return {pid for pid in found if _start_time(pid) is not None}


def _record(layout: Layout, name: str) -> Path:
    return layout.run_dir / "pids" / name


def _start_time(pid: int) -> str | None:
    """Start time in clock ticks since boot, or None for a process that is gone or a zombie."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if after_name[0] in "ZX" else after_name[19]
