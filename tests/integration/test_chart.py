"""The chart's life on the real API server: rendered, installed, upgraded, uninstalled, installed again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster import LocalCluster
from helm import CHART, HelmError, helm, only, template
from installed_chart import GROUP, NAMESPACE, OPERATOR, RELEASE, Installation, path_of, subnet, wait_until

pytestmark = pytest.mark.cluster

VALUES = sorted((Path(__file__).parents[1] / "unit" / "chart" / "values").glob("*.yaml"))
RESTRICTED = "chart-restricted"
USERS = "chart-users"
CRDS = {f"{kind}.assay.dev" for kind in ("subnets", "modeldeployments", "validatorpolicies", "scorereports")}


@pytest.fixture(scope="module")
def server() -> Iterator[Installation]:
    cluster = LocalCluster(name="chart")
    cluster.up()
    installed = Installation(cluster)
    installed.namespace(RESTRICTED)
    label = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    merge = "application/merge-patch+json"
    installed.must("PATCH", f"/api/v1/namespaces/{RESTRICTED}", label, content_type=merge)
    yield installed
    for namespace in (RESTRICTED, USERS):
        installed.request("DELETE", f"/api/v1/namespaces/{namespace}")


@pytest.mark.parametrize("values", [None, *VALUES], ids=["defaults", *(path.stem for path in VALUES)])
def test_the_api_server_accepts_every_object_of_the_render(server: Installation, values: Path | None) -> None:
    argv = [f"--values={values}"] if values else []
    objects = template(*argv, namespace=RESTRICTED)
    out = server.cluster.kubectl(
        *("apply", "--server-side", "--dry-run=server", "--validate=strict", "--force-conflicts", "-f", "-"),
        stdin=yaml.safe_dump_all(objects),
    )
    assert len(out.splitlines()) == len(objects)


@pytest.mark.parametrize("values", ["minimal", "production", "renamed"])
def test_the_pod_is_admitted_where_pod_security_is_restricted(server: Installation, values: str) -> None:
    argv = f"--values={Path(__file__).parents[1] / 'unit' / 'chart' / 'values' / f'{values}.yaml'}"
    pod = only(template(argv), "Deployment")["spec"]["template"]
    pod["spec"]["serviceAccountName"] = "default"
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "operator"}, "spec": pod["spec"]}
    answer = server.request("POST", f"/api/v1/namespaces/{RESTRICTED}/pods", body, dry_run=True)
    assert answer.status == 201, answer.message


def everything(server: Installation) -> set[str]:
    """Every object of the cluster but those that it changes by itself, as `namespace kind/name`."""
    kinds = server.cluster.kubectl("api-resources", "--verbs=list", "-o", "name").split()
    columns = "--output=custom-columns=NS:.metadata.namespace,KIND:.kind,API:.apiVersion,NAME:.metadata.name"
    listed = server.cluster.kubectl("get", ",".join(kinds), "-A", "--no-headers", columns, "--ignore-not-found")
    found = set()
    for line in listed.splitlines():
        namespace, kind, api, name = line.split(maxsplit=3)
        if kind not in ("Event", "EndpointSlice", "Node", "CSINode", "ComponentStatus") and not is_restless(kind, name):
            found.add(f"{namespace} {kind}.{api.split('/')[0]}/{name}")
    return found


def is_restless(kind: str, name: str) -> bool:
    return kind == "Lease" and not name.startswith("assay")


def remove_all(server: Installation) -> None:
    """The cluster as if the chart had never been there."""
    server.uninstall()
    for name in CRDS:
        server.request("DELETE", f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}")
    server.request("DELETE", f"/api/v1/namespaces/{NAMESPACE}")
    wait_until(lambda: server.request("GET", f"/api/v1/namespaces/{NAMESPACE}").status == 404, "the namespace is gone")
    wait_until(
        lambda: not [item for item in everything(server) if "assay" in item and GROUP not in item],
        "nothing of assay is left",
    )


def versions(server: Installation) -> dict[str, str]:
    """What a write to an object of the release would move: its generation, or its resourceVersion where it has none.

    Whatever has a generation has a status too, which controllers write in their own time.
    """
    manifest = helm("get", "manifest", RELEASE, "-n", NAMESPACE, kubeconfig=server.cluster.kubeconfig)
    columns = "KIND:.kind,NAME:.metadata.name,GENERATION:.metadata.generation,VERSION:.metadata.resourceVersion"
    out = server.cluster.kubectl(
        *("get", "-f", "-", "-n", NAMESPACE, "--no-headers", f"--output=custom-columns={columns}"), stdin=manifest
    )
    rows = [line.split() for line in out.splitlines()]
    return {
        f"{kind} {name}": version if generation == "<none>" else generation for kind, name, generation, version in rows
    }


def test_uninstalling_leaves_the_crds_and_what_users_made(server: Installation) -> None:
    remove_all(server)
    before = everything(server)
    server.install()
    server.namespace(USERS)
    server.must("POST", path_of("subnets", USERS), subnet("market", USERS))
    server.uninstall()
    expected = {f"<none> CustomResourceDefinition.apiextensions.k8s.io/{name}" for name in CRDS}
    # The API server keeps an APIService for every group that CRDs serve.
    expected |= {"<none> APIService.apiregistration.k8s.io/v1alpha1.assay.dev", f"{USERS} Subnet.assay.dev/market"}
    for namespace in (NAMESPACE, USERS):  # helm --create-namespace made the first; both hold what every namespace holds
        expected |= {
            f"<none> Namespace.v1/{namespace}",
            f"{namespace} ConfigMap.v1/kube-root-ca.crt",
            f"{namespace} ServiceAccount.v1/default",
        }
    wait_until(
        lambda: everything(server) - before == expected, f"left over: {sorted(everything(server) - before - expected)}"
    )


def test_installing_again_takes_over_the_crds_that_were_kept(server: Installation) -> None:
    server.install()
    server.uninstall()
    kept = path_of("subnets", USERS)
    server.namespace(USERS)
    server.must("POST", kept, subnet("market", USERS))
    server.install()
    assert server.must("GET", f"{kept}/market")["spec"]["task"]["kind"] == "Tensor"


def test_an_upgrade_that_changes_nothing_touches_nothing(server: Installation) -> None:
    server.install()
    before = versions(server)
    assert len(before) > 15
    server.install()
    assert versions(server) == before


def test_an_upgrade_leaves_the_lease_to_its_holder(server: Installation) -> None:
    server.install()
    lease = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/assay-operator"
    held: dict[str, Any] = server.must("GET", lease)
    held["spec"] = {"holderIdentity": "assay-0", "leaseDurationSeconds": 6, "leaseTransitions": 4}
    server.must("PUT", lease, held, user=OPERATOR)
    server.install("--set=logLevel=DEBUG")
    assert server.must("GET", lease)["spec"]["holderIdentity"] == "assay-0"
    helm("rollback", RELEASE, "-n", NAMESPACE, "--wait=watcher", kubeconfig=server.cluster.kubeconfig)
    after = server.must("GET", lease)["spec"]
    assert (after["holderIdentity"], after["leaseTransitions"]) == ("assay-0", 4)


def test_a_second_release_is_refused_before_it_changes_anything(server: Installation) -> None:
    server.install()
    with pytest.raises(HelmError, match="ownership metadata"):
        helm(
            *("install", "second", str(CHART), "-n", "chart-second", "--create-namespace"),
            kubeconfig=server.cluster.kubeconfig,
        )
    server.request("DELETE", "/api/v1/namespaces/chart-second")
