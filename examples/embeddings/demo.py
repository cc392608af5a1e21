"""The demo: from nothing to consensus weights on a real Kubernetes.

`python -m examples.embeddings.demo up` builds and starts the local node, builds and loads the images, installs assay
with Helm, applies `manifests/`, follows the epochs and ends with a table of who earns what, and why. Run again, it goes
on from what is there. With CONTEXT=name it uses that cluster of your kubeconfig, images then come from REGISTRY.

It shows assay to a user, so it only uses what a user has: kubectl, helm and the manifests.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[2]
MANIFESTS = Path(__file__).parent / "manifests"
OUTPUT = ROOT / ".build" / "demo"
CLUSTER = ROOT / "hack" / "cluster" / "cluster"
IMAGES = ROOT / "hack" / "images" / "build"
LOCAL_REGISTRY = "localhost/assay"
SUBNET = ("demo", "embeddings")
EPOCHS = 3
POLL_S = 1.0
RUNS = {
    "honest-0": "minilm fp32",
    "honest-1": "minilm fp32",
    "honest-2": "minilm fp32",
    "slow": "minilm fp32, delayed",
    "quantised": "minilm int8",
    "smaller": "minilm with 3 layers",
    "noise": "random vectors",
    "down": "nothing",
}

console = Console(highlight=False, width=110)
started_at = time.monotonic()


def say(text: str) -> None:
    """One line of progress with the seconds since the start."""
    console.print(f"[dim]{time.monotonic() - started_at:6.1f}s[/dim] {text}")


@contextmanager
def step(title: str) -> Iterator[None]:
    """Announce a step and say how long it took."""
    say(f"[bold]{title}[/bold]")
    begin = time.monotonic()
    yield
    say(f"{title}: done in {time.monotonic() - begin:.1f} s")


class Cluster:
    """kubectl and helm against the cluster of the demo."""

    def __init__(self) -> None:
        self.context = os.environ.get("CONTEXT", "")
        self.registry = os.environ.get("REGISTRY", LOCAL_REGISTRY)
        self.environment = dict(os.environ)
        if not self.context:
            self.environment |= _exported(_output([str(CLUSTER), "env"]))

    def kubectl(self, *args: str, stdin: str | None = None) -> str:
        """Run kubectl and return what it printed."""
        context = [f"--context={self.context}"] if self.context else []
        return _output(["kubectl", *context, *args], env=self.environment, stdin=stdin)

    def helm(self, *args: str) -> str:
        """Run helm and return what it printed."""
        context = [f"--kube-context={self.context}"] if self.context else []
        return _output(["helm", *context, *args], env=self.environment)

    def objects(self, kind: str) -> list[dict[str, Any]]:
        """All objects of a kind, in all namespaces."""
        items: list[dict[str, Any]] = json.loads(self.kubectl("get", kind, "--all-namespaces", "-o", "json"))["items"]
        return items

    def image(self, name: str) -> str:
        """The full reference of one of the demo's images."""
        return f"{self.registry}/{name}:dev"


def up() -> None:
    """Everything, from building Kubernetes to the table."""
    if not os.environ.get("CONTEXT"):
        with step("local Kubernetes"):
            _show([str(CLUSTER), "up", "--profile", "node"])
    with step("images of operator, Triton and models"):
        archives = [line for line in _show([str(IMAGES)]).splitlines() if line.endswith(".tar")]
        if not os.environ.get("CONTEXT"):
            for archive in archives:
                _show([str(CLUSTER), "load-image", archive])
    cluster = Cluster()
    with step("helm install assay"):
        install(cluster, "/".join(Path(archive).parent.name for archive in archives if archive.endswith("/assay.tar")))
    with step("kubectl apply -f examples/embeddings/manifests"):
        apply(cluster)
    follow(cluster, EPOCHS)
    finish(cluster)


def down() -> None:
    """Remove the demo: the local cluster whole, of a cluster of yours only what the demo brought."""
    if not os.environ.get("CONTEXT"):
        _show([str(CLUSTER), "down"])
        return
    cluster = Cluster()
    cluster.kubectl("delete", "--ignore-not-found", "-f", str(MANIFESTS))
    cluster.helm("uninstall", "assay", "--namespace", "assay-system", "--ignore-not-found")


def install(cluster: Cluster, build: str) -> None:
    """Install or upgrade the chart with the images of this checkout; `build` changes with the operator's image."""
    repository, _, tag = cluster.image("assay").rpartition(":")
    say(
        cluster.helm(
            "upgrade", "--install", "assay", str(ROOT / "charts" / "assay"),
            "--namespace", "assay-system", "--create-namespace",
            "--set", f"image.repository={repository},image.tag={tag},triton.image={cluster.image('triton')}",
            # The tag stays the same from build to build; this rolls the operator when its image does not.
            "--set-string", f"podAnnotations.build={build}",
            "--wait", "--timeout", "3m",
        ).splitlines()[0]
    )  # fmt: skip


def apply(cluster: Cluster) -> None:
    """Apply the manifests, images taken from the registry in use."""
    for path in sorted(MANIFESTS.glob("*.yaml")):
        text = path.read_text().replace(LOCAL_REGISTRY, cluster.registry)
        cluster.kubectl("apply", "-f", "-", stdin=text)
        say(f"applied {path.name}")


def follow(cluster: Cluster, epochs: int, timeout_s: float = 900) -> None:
    """Print what changes until `epochs` more epochs are committed in full."""
    goal = _committed(subnet(cluster)) + epochs
    shown = ""
    for current in _until(lambda: subnet(cluster), timeout_s, f"epoch {goal} was not committed"):
        line = _summary(current)
        if line != shown:
            say(line)
            shown = line
        if _committed(current) >= goal:
            return


def finish(cluster: Cluster) -> None:
    """Print the tables, write the objects as JSON, say how to go on."""
    OUTPUT.mkdir(parents=True, exist_ok=True)
    current = subnet(cluster)
    deployments = cluster.objects("modeldeployments.assay.dev")
    policies = cluster.objects("validatorpolicies.assay.dev")
    reports = cluster.objects("scorereports.assay.dev")
    documents = {"modeldeployments": deployments, "validatorpolicies": policies, "scorereports": reports}
    (OUTPUT / "subnet.json").write_text(json.dumps(current, indent=2))
    for name, items in documents.items():
        (OUTPUT / f"{name}.json").write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}, indent=2))
    console.print(miners_table(current, deployments))
    console.print(validators_table(current))
    say(f"objects written to {OUTPUT.relative_to(ROOT)}")
    console.print(
        '\nLook around:   [bold]eval "$(hack/cluster/cluster env)"[/bold]'
        "\n               [bold]kubectl get assay --all-namespaces[/bold]"
        "\n               [bold]kubectl -n demo get subnet embeddings --watch[/bold]"
        "\nTear down:     [bold]make demo-down[/bold]"
    )


def miners_table(current: dict[str, Any], deployments: list[dict[str, Any]]) -> Table:
    """Who earns what: miner, what it really runs, weight, incentive, score, reason."""
    table = Table(title=f"Miners of demo/embeddings, epoch {_committed(current)}")
    for column in ("miner", "really runs", "weight", "incentive", "score", "reason"):
        table.add_column(column, justify="right" if column in {"weight", "incentive", "score"} else "left")
    ready = {item["metadata"]["name"]: _condition(item, "Ready") for item in deployments}
    for row in sorted(current["status"].get("miners", []), key=lambda row: -row["incentive"]):
        table.add_row(
            row["name"],
            RUNS.get(row["name"], "?"),
            f"{row['weight'] / 65535:.4f}",
            f"{row['incentive'] / 65535:.2%}",
            row.get("score", "-"),
            ready.get(row["name"], {}).get("reason", "-"),
        )
    return table


def validators_table(current: dict[str, Any]) -> Table:
    """Who judged how well: trust, dividends."""
    table = Table(title="Validators")
    for column in ("validator", "stake", "trust", "dividends", "last report"):
        table.add_column(column, justify="left" if column == "validator" else "right")
    for row in current["status"].get("validators", []):
        table.add_row(
            row["name"],
            str(row["stake"]),
            f"{row['trust'] / 65535:.4f}",
            f"{row['dividends'] / 65535:.2%}",
            f"epoch {row.get('lastReportEpoch', '-')}",
        )
    return table


def subnet(cluster: Cluster) -> dict[str, Any]:
    """The demo's subnet as it is now."""
    current: dict[str, Any] = json.loads(cluster.kubectl("-n", SUBNET[0], "get", "subnet", SUBNET[1], "-o", "json"))
    return current


def _summary(current: dict[str, Any]) -> str:
    status = current.get("status", {})
    epoch = status.get("epoch", {})
    totals = status.get("totals", {})
    reports = status.get("committed", {}).get("reports", {})
    return (
        f"epoch {epoch.get('number', 0)} {epoch.get('phase', '')}; "
        f"miners ready {totals.get('readyMiners', 0)}/{totals.get('miners', 0)}; "
        f"committed {_committed(current)} with {reports.get('received', 0)}/{reports.get('expected', 0)} reports"
    )


def _committed(current: dict[str, Any]) -> int:
    return int(current.get("status", {}).get("committed", {}).get("number", 0))


def _condition(item: dict[str, Any], type_: str) -> dict[str, Any]:
    conditions = item.get("status", {}).get("conditions", [])
    return next((condition for condition in conditions if condition["type"] == type_), {})


def _until(read: Callable[[], dict[str, Any]], timeout_s: float, failure: str) -> Iterator[dict[str, Any]]:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        yield read()
        time.sleep(POLL_S)  # noqa: TID251 - a person is watching; there is nothing to wait on but the next look
    sys.exit(f"demo: {failure} within {timeout_s:.0f} s; look at: kubectl -n demo describe subnet embeddings")


def _show(argv: list[str]) -> str:
    lines = []
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            lines.append(line.rstrip())
            say(f"  {line.rstrip()}")
    if process.returncode:
        sys.exit(f"demo: {' '.join(argv)} failed with status {process.returncode}")
    return "\n".join(lines)


def _output(argv: list[str], *, env: dict[str, str] | None = None, stdin: str | None = None) -> str:
    done = subprocess.run(argv, env=env, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"demo: {' '.join(argv)} failed with status {done.returncode}:\n{done.stderr}")
    return done.stdout


def _exported(text: str) -> dict[str, str]:
    pairs = (line.removeprefix("export ").partition("=") for line in text.splitlines() if line.startswith("export "))
    return {name: os.path.expandvars(value.strip("'\"")) for name, _, value in pairs}


def main() -> None:
    """Entry point: `up` or `down`."""
    parser = argparse.ArgumentParser(description="assay's demo on a real Kubernetes")
    parser.add_argument("command", choices=["up", "down"])
    {"up": up, "down": down}[parser.parse_args().command]()


if __name__ == "__main__":
    main()
