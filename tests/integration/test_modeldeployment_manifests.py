"""The goldens of a ModelDeployment's children, shown to a real API server where Pod Security is `restricted`.

A dry run checks schemas strictly; of pod security it only warns for workloads, so the pods are tried as pods, too.
"""

import secrets
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from kubernetes import client

from assay.desired.podtemplate import PodTemplateRefused, merge_pod_template
from cluster import LocalCluster
from deployment_goldens import VARIANTS, golden_path
from deployments import model_deployment, wished_workload

pytestmark = pytest.mark.cluster
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


@pytest.fixture(scope="module")
def restricted(api_client: client.ApiClient, cluster: LocalCluster) -> Iterator[str]:
    """A namespace that admits restricted pods only, with all that the variants refer to."""
    core = client.CoreV1Api(api_client)
    name = f"restricted-{secrets.token_hex(4)}"
    core.create_namespace({"metadata": {"name": name, "labels": RESTRICTED}})
    core.create_namespaced_service_account(name, {"metadata": {"name": "minilm-triton"}})
    scheduling = client.SchedulingV1Api(api_client)
    if "serving" not in {it.metadata.name for it in scheduling.list_priority_class().items}:
        scheduling.create_priority_class({"metadata": {"name": "serving"}, "value": 1000})
    yield name
    core.delete_namespace(name)


@pytest.mark.parametrize("variant", sorted(VARIANTS))
def test_the_api_server_takes_the_children_of_a_variant(variant: str, restricted: str, cluster: LocalCluster) -> None:
    moved = [_moved(obj, restricted) for obj in yaml.safe_load_all(golden_path(variant).read_text())]
    answer = cluster.kubectl(
        "apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-", stdin=yaml.safe_dump_all(moved)
    )
    assert answer.count("serverside-applied (server dry run)") == 3


@pytest.mark.parametrize("variant", sorted(VARIANTS))
def test_pod_security_admits_the_pods_of_a_variant(variant: str, restricted: str, cluster: LocalCluster) -> None:
    workload = list(yaml.safe_load_all(golden_path(variant).read_text()))[-1]
    answer = cluster.kubectl(
        "create", "--dry-run=server", "--validate=strict", "-f", "-", stdin=yaml.safe_dump(_pod(workload, restricted))
    )
    assert "created (server dry run)" in answer


WARNED = [
    pytest.param({"hostNetwork": True}, id="the host's network"),
    pytest.param({"volumes": [{"name": "h", "hostPath": {"path": "/"}}]}, id="a host path"),
    pytest.param({"securityContext": {"runAsNonRoot": False}}, id="root allowed"),
    pytest.param({"securityContext": {"seccompProfile": {"type": "Unconfined"}}}, id="seccomp off"),
    pytest.param({"containers": [{"name": "triton", "securityContext": {"privileged": True,
                  "allowPrivilegeEscalation": None}}]}, id="a privileged container"),
    pytest.param({"containers": [{"name": "triton", "securityContext": {"capabilities": {"add": ["NET_RAW"]}}}]},
                 id="a capability"),
    pytest.param({"containers": [{"name": "triton", "ports": [{"containerPort": 9, "hostPort": 9}]}]},
                 id="a host port"),
    pytest.param({"containers": [{"name": "triton", "livenessProbe": {"httpGet": {"host": "10.0.0.1", "port": 80}}}]},
                 id="a probe of another host"),
]  # fmt: skip


@pytest.mark.parametrize("spec", WARNED)
def test_what_our_own_check_refuses_pod_security_refuses_too(
    spec: dict[str, Any], restricted: str, cluster: LocalCluster
) -> None:
    """Held against the authority: our check must not be stricter without need, nor laxer."""
    workload = wished_workload(model_deployment())
    template = workload["spec"]["template"]
    with pytest.raises(PodTemplateRefused):
        merge_pod_template(template, {"spec": spec}, container="triton")
    broken = {**workload, "spec": {"template": _merged(template, spec)}}
    with pytest.raises(AssertionError, match="violates PodSecurity"):
        cluster.kubectl("create", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump(_pod(broken, restricted)))


def _merged(template: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
    """A plain merge without our check, good enough for the rows above."""
    base = template["spec"]
    container = dict(base["containers"][0])
    for key, value in next(iter(spec.get("containers", [])), {}).items():
        container[key] = {**container[key], **value} if isinstance(value, dict) else value
    volumes = [*base["volumes"], *spec.get("volumes", [])]
    context = base["securityContext"] | spec.get("securityContext", {})
    rest = {key: value for key, value in spec.items() if key not in {"containers", "volumes", "securityContext"}}
    return {
        "metadata": template["metadata"],
        "spec": {**base, **rest, "containers": [container], "volumes": volumes, "securityContext": context},
    }


def _moved(obj: dict[str, Any], namespace: str) -> dict[str, Any]:
    return {**obj, "metadata": {**obj["metadata"], "namespace": namespace}}


def _pod(workload: dict[str, Any], namespace: str) -> dict[str, Any]:
    template = workload["spec"]["template"]
    metadata = {**template["metadata"], "name": "tried", "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
