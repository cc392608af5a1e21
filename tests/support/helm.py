"""Real Helm for the chart's tests: finds the binary the local cluster's tools bring, and runs it.

Search order: $HELM, the local cluster's cache of binaries, $PATH. Downloads nothing: `hack/cluster/cluster build` does.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import yaml

# The C parser where there is one: the CRDs are 100 KB of YAML.
Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "assay"


class HelmError(Exception):
    """Helm refused; the text is its standard error."""


def binary(name: str = "helm") -> str:
    """Path of `helm` or `kubectl`. Raises HelmError with the remedy where there is none."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "assay" / "bin"
    named = os.environ.get(name.upper())
    cached = sorted(folder.glob(f"kubectl-helm-*/{name}"))
    found = named or (str(cached[-1]) if cached else shutil.which(name))
    if not found:
        raise HelmError(f"{name} is not on this machine: run `hack/cluster/cluster build`, or set {name.upper()}=PATH")
    return found


def helm(*argv: str, kubeconfig: Path | None = None) -> str:
    """Run helm and return its standard output."""
    environment = {**os.environ, **({"KUBECONFIG": str(kubeconfig)} if kubeconfig else {})}
    done = subprocess.run([binary(), *argv], capture_output=True, text=True, env=environment, check=False)
    if done.returncode != 0:
        raise HelmError(done.stderr.strip())
    return done.stdout


def template(*argv: str, release: str = "assay", namespace: str = "assay-system") -> list[dict[str, Any]]:
    """The objects that an installation with these arguments would apply."""
    return [document for document in yaml.load_all(_rendered(release, namespace, argv), Loader) if document]


@cache
def _rendered(release: str, namespace: str, argv: tuple[str, ...]) -> str:
    return helm("template", release, str(CHART), "--namespace", namespace, *argv)


def only(objects: list[dict[str, Any]], kind: str, name: str | None = None) -> dict[str, Any]:
    """The one object of a kind, or of a kind and name."""
    found = [o for o in objects if o["kind"] == kind and name in (None, o["metadata"]["name"])]
    assert len(found) == 1, f"{len(found)} objects of kind {kind} named {name or '(any)'}, expected one"
    return found[0]
