"""A cluster for tests: this checkout's own from hack/cluster, or the user's own that $CONTEXT names.

Owns nothing but the subprocess calls; the command does the work. Invariant: with $CONTEXT set nothing here creates,
stops or changes a cluster: `up`, `down` and `load_image` do nothing, and faults are refused.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).resolve().parents[2]
COMMAND = ROOT / "hack" / "cluster" / "cluster"
Profile = Literal["control-plane", "node"]


class ClusterCommandError(AssertionError):
    """hack/cluster/cluster, or kubectl, refused: carries what it said."""


@dataclass(frozen=True)
class LocalCluster:
    """One named cluster of this checkout. `name` is short: the command adds the checkout's suffix."""

    name: str
    profile: Profile = "control-plane"

    @property
    def context(self) -> str | None:
        """The user's own context that takes the place of the local cluster, or None."""
        return os.environ.get("CONTEXT") or None

    @property
    def owned(self) -> bool:
        """Whether the cluster is ours: it may be stopped, and has an audit log that can be read."""
        return self.context is None

    @cached_property
    def kubeconfig(self) -> Path:
        """A kubeconfig whose current context is this cluster, with admin rights."""
        if self.owned:
            return Path(self.command("kubeconfig").strip())
        view = ("config", "view", "--raw", "--minify", "--flatten", f"--context={self.context}")
        content = _run([self.kubectl_path, *view])
        path = Path(tempfile.mkdtemp(prefix="assay-context-")) / "kubeconfig"
        path.touch(mode=0o600)
        path.write_text(content)
        return path

    @property
    def audit_log_path(self) -> Path:
        """The API server's audit log: JSON lines, level Metadata, stage ResponseComplete and later, never rotated."""
        self._refuse_on_foreign("read the audit log")
        return Path(self.command("audit-log").strip())

    @property
    def kubectl_path(self) -> str:
        """kubectl from $PATH, else the one that hack/cluster keeps."""
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "assay" / "bin"
        found = [*sorted(cache.glob("kubectl-helm-*/kubectl")), shutil.which("kubectl")]
        if found[0] is None:
            raise ClusterCommandError("no kubectl: run hack/cluster/cluster build, or put one on PATH")
        return str(found[0])

    def up(self) -> None:
        """Create or complete the cluster and wait until it is ready; quick if it already is."""
        if self.owned:
            self.command("up", "--profile", self.profile)

    def down(self) -> None:
        """Take it down and leave nothing behind."""
        if self.owned:
            self.command("down")

    def load_image(self, archive: Path) -> None:
        """Import a docker archive into the node. A cluster of the user's pulls from $REGISTRY instead."""
        if self.owned:
            self.command("load-image", str(archive))

    def image(self, reference: str) -> str:
        """Return the reference under which pods find the image: below $REGISTRY in a cluster of the user's."""
        registry = os.environ.get("REGISTRY", "").rstrip("/")
        # hack/images/build puts $REGISTRY in the place of localhost/assay.
        return reference if self.owned or not registry else f"{registry}/{reference.removeprefix('localhost/assay/')}"

    def exec_argv(self, *argv: str) -> list[str]:
        """Argv that runs `argv` where pod and service addresses can be reached."""
        return [str(COMMAND), "exec", "--name", self.name, "--", *argv] if self.owned else list(argv)

    def stop_apiserver(self) -> None:
        """Kill the API server (SIGKILL)."""
        self._refuse_on_foreign("stop the API server")
        self.command("stop-apiserver")

    def start_apiserver(self) -> None:
        """Start the API server and wait until it is ready."""
        self._refuse_on_foreign("start the API server")
        self.command("start-apiserver")

    def kubectl(self, *argv: str, stdin: str | None = None) -> str:
        """Run kubectl as admin and return its standard output.

        Raises:
            ClusterCommandError: it exited non-zero.
        """
        return _run([self.kubectl_path, f"--kubeconfig={self.kubeconfig}", *argv], stdin)

    def command(self, subcommand: str, *argv: str) -> str:
        """Run `hack/cluster/cluster SUBCOMMAND --name NAME ARGV...` and return its standard output."""
        return _run([str(COMMAND), subcommand, "--name", self.name, *argv])

    def _refuse_on_foreign(self, what: str) -> None:
        if not self.owned:
            raise ClusterCommandError(f"CONTEXT={self.context} is not ours: cannot {what}; unset CONTEXT for this test")


def _run(argv: Sequence[str], stdin: str | None = None) -> str:
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ClusterCommandError(f"{' '.join(argv)} exited {done.returncode}:\n{done.stderr or done.stdout}")
    return done.stdout
