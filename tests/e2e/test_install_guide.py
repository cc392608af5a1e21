"""The installation guide on a real node: Helm installs, the first subnet is scored, the release goes without a trace.

The cluster is this test's own and is taken down at its end.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster import LocalCluster
from helm import ROOT, helm
from installed_chart import NAMESPACE, RELEASE, Installation, path_of, wait_until

pytestmark = pytest.mark.node

NS = "first"
GUIDE = (ROOT / "docs" / "guide" / "install.md").read_text()
SUBNET = path_of("subnets", NS, "doubling")
PODS = f"/api/v1/namespaces/{NS}/pods?labelSelector=app.kubernetes.io/name=triton"


@pytest.fixture(scope="module")
def server() -> Iterator[Installation]:
    cluster = LocalCluster(name="guide", profile="node")
    if not cluster.owned:
        pytest.skip("installs and uninstalls the release: not in a cluster of the user's own")
    cluster.up()
    for target in ("operator", "triton"):
        built = subprocess.run(
            [str(ROOT / "hack" / "images" / "build"), target], check=True, stdout=subprocess.PIPE, text=True
        )
        cluster.load_image(Path(built.stdout.split()[-1]))
    try:
        yield Installation(cluster)
    finally:
        cluster.down()


def committed(server: Installation) -> int:
    status = server.must("GET", SUBNET).get("status", {})
    return int(status.get("committed", {}).get("number", 0))


def incentive(server: Installation, miner: str) -> int:
    status = server.must("GET", path_of("modeldeployments", NS, miner)).get("status", {})
    return int(status.get("consensus", {}).get("incentive", -1))


def triton_pods(server: Installation) -> dict[str, int]:
    """Restarts by pod UID: the same pods, or not."""
    items = server.must("GET", PODS)["items"]
    return {
        item["metadata"]["uid"]: sum(status["restartCount"] for status in item["status"]["containerStatuses"])
        for item in items
    }


def test_the_first_subnet_is_scored_and_outlives_the_release(server: Installation) -> None:
    server.install()
    manifest = re.findall(r"^```yaml\n(.*?)^```", GUIDE, flags=re.DOTALL | re.MULTILINE)[0]
    server.cluster.kubectl("apply", "--server-side", "-f", "-", stdin=manifest)
    wait_until(lambda: committed(server) >= 1, "the first epoch is committed", timeout_s=180)
    wait_until(lambda: incentive(server, "honest") == 65535, "the honest miner is paid", timeout_s=30)
    wait_until(lambda: incentive(server, "sloppy") == 0, "the sloppy one is judged", timeout_s=30)
    report = server.must("GET", path_of("scorereports", NS))["items"][0]["metadata"]["name"]
    by_hand = server.request("DELETE", path_of("scorereports", NS, report))
    assert by_hand.status == 403
    assert "deleting the ValidatorPolicy takes its reports along" in by_hand.message

    pods, epoch = triton_pods(server), committed(server)
    assert len(pods) == 3
    server.uninstall()
    for kind, root in (("leases", "/apis/coordination.k8s.io/v1"), ("secrets", "/api/v1"), ("pods", "/api/v1")):
        path = f"{root}/namespaces/{NAMESPACE}/{kind}"
        wait_until(lambda path=path: not server.must("GET", path)["items"], f"no {kind} are left in {NAMESPACE}")
    assert triton_pods(server) == pods, "serving goes on without the operator"

    server.install()
    wait_until(lambda: committed(server) > epoch, "the next epoch is committed", timeout_s=180)
    assert triton_pods(server) == pods, "installing again restarts nothing"
    history = helm("history", RELEASE, "--namespace", NAMESPACE, kubeconfig=server.cluster.kubeconfig)
    assert "deployed" in history
