"""The chart installed by real Helm on a control plane of its own, and a way to speak to it as anybody.

The cluster is not the one of the other integration tests: admission policies bind everybody, and would bind them too.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pytest
import urllib3
from kubernetes import client, config

from cluster import LocalCluster
from helm import CHART, helm

RELEASE = "assay"
NAMESPACE = "assay-system"
OPERATOR = f"system:serviceaccount:{NAMESPACE}:assay"
GROUP = "assay-tests"
IMAGES = (
    "--set=image.repository=localhost/assay/assay",
    "--set=image.tag=dev",
    "--set=triton.image=localhost/assay/triton:dev",
)

MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"

# What lets a request pass authorisation, so that admission has to decide. Only the tests' own group has it.
EVERYTHING_OF_OURS = f"""
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {{name: {GROUP}}}
rules:
- {{apiGroups: [assay.dev], resources: ["*"], verbs: ["*"]}}
- {{apiGroups: [""], resources: [configmaps, services, serviceaccounts], verbs: ["*"]}}
- {{apiGroups: [apps], resources: [deployments], verbs: ["*"]}}
- {{apiGroups: [batch], resources: [jobs], verbs: ["*"]}}
- {{apiGroups: [rbac.authorization.k8s.io], resources: [rolebindings], verbs: ["*"]}}
- {{apiGroups: [rbac.authorization.k8s.io], resources: [clusterroles], resourceNames: [assay-scorer], verbs: [bind]}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: {GROUP}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {GROUP}}}
subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: Group, name: {GROUP}}}]
"""


def wait_until(holds: Callable[[], bool], what: str, timeout_s: float = 30) -> None:
    """Ask again until it holds; fails with `what` in words after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    pause = threading.Event()
    while not holds():
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
        pause.wait(0.1)


@dataclass(frozen=True)
class Answer:
    """What the API server said."""

    status: int
    body: dict[str, Any]

    @property
    def message(self) -> str:
        """The reason of a refusal, empty for a success."""
        return "" if self.status < 400 else str(self.body.get("message", self.body))


@dataclass(frozen=True)
class Installation:
    """A cluster with the chart on it."""

    cluster: LocalCluster

    @cached_property
    def _api(self) -> client.ApiClient:
        return config.new_client_from_config(str(self.cluster.kubeconfig))

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        user: str | None = None,
        groups: tuple[str, ...] = (GROUP,),
        token: str | None = None,
        content_type: str = "application/json",
        dry_run: bool = False,
    ) -> Answer:
        """Ask as the admin, as `user` with `groups` (impersonated by the server), or with a bearer token."""
        headers = urllib3.HTTPHeaderDict({"Content-Type": content_type, "Accept": "application/json"})
        if user is not None:
            headers.add("Impersonate-User", user)
            for group in groups:
                headers.add("Impersonate-Group", group)
        pool = self._api.rest_client.pool_manager
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
            pool = self._anonymous
        url = f"{self._api.configuration.host}{path}"
        if dry_run:
            url += f"{'&' if '?' in path else '?'}dryRun=All"
        answer = pool.request(method, url, body=None if body is None else json.dumps(body), headers=headers, timeout=30)
        return Answer(answer.status, json.loads(answer.data or b"{}"))

    @cached_property
    def _anonymous(self) -> urllib3.PoolManager:
        """Connections without the admin's certificate, for bearer tokens."""
        return urllib3.PoolManager(ca_certs=self._api.configuration.ssl_ca_cert)

    def must(self, method: str, path: str, body: Any = None, **options: Any) -> dict[str, Any]:
        """`request` that has to succeed."""
        answer = self.request(method, path, body, **options)
        assert answer.status < 400, f"{method} {path}: {answer.status} {answer.message}"
        return answer.body

    def token(self, namespace: str, account: str) -> str:
        """A real token of a service account."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        spec = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}}
        return str(self.must("POST", path, spec)["status"]["token"])

    def namespace(self, name: str) -> None:
        """A fresh namespace; what had the name before is gone when this returns."""
        path = f"/api/v1/namespaces/{name}"
        self.request("DELETE", path)
        wait_until(lambda: self.request("GET", path).status == 404, f"namespace {name} is gone", timeout_s=60)
        self.must("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        wait_until(
            lambda: self.request("GET", f"{path}/serviceaccounts/default").status == 200,
            f"namespace {name} has its default service account",
        )

    def install(self, *argv: str) -> None:
        """Install or upgrade the release, and wait until its policies are enforced."""
        helm(
            *("upgrade", "--install", RELEASE, str(CHART), "--namespace", NAMESPACE, "--create-namespace"),
            *("--wait=watcher", "--timeout", "120s", *IMAGES, *argv),
            kubeconfig=self.cluster.kubeconfig,
        )

    def uninstall(self) -> None:
        """Uninstall the release and wait until its objects are gone."""
        helm(
            *("uninstall", RELEASE, "--namespace", NAMESPACE, "--wait", "--timeout", "120s", "--ignore-not-found"),
            kubeconfig=self.cluster.kubeconfig,
        )


def path_of(kind: str, namespace: str, name: str | None = None, subresource: str | None = None) -> str:
    """The address of one of our objects, or of a collection of them."""
    parts = [f"/apis/assay.dev/v1alpha1/namespaces/{namespace}/{kind}", name, subresource]
    return "/".join(part for part in parts if part)


def subnet(name: str, namespace: str, **metadata: Any) -> dict[str, Any]:
    """A small Subnet that the API accepts."""
    return {
        "apiVersion": "assay.dev/v1alpha1",
        "kind": "Subnet",
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "spec": {"task": {"kind": "Tensor", "model": {"name": "double", "version": "1"}}},
    }


def model_deployment(name: str, namespace: str, **metadata: Any) -> dict[str, Any]:
    """A miner elsewhere that the API accepts."""
    return {
        "apiVersion": "assay.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "spec": {
            "model": {"name": "double", "version": "1"},
            "endpoint": {"url": "grpcs://miner.example:8001"},
        },
    }


def validator_policy(name: str, namespace: str, **metadata: Any) -> dict[str, Any]:
    """A validator that the API accepts."""
    return {
        "apiVersion": "assay.dev/v1alpha1",
        "kind": "ValidatorPolicy",
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "spec": {
            "subnetRef": {"namespace": namespace, "name": "market"},
            "challenge": {"random": {"kind": "Tensor"}},
            "reference": {"endpoint": {"url": "grpcs://reference.example:8001"}},
        },
    }


def score_report(policy: Mapping[str, Any], epoch: int = 40, digest: str = "0123abcd") -> dict[str, Any]:
    """The report that the scorer of `policy` (as the server returned it) files for an epoch."""
    name, namespace, uid = (policy["metadata"][key] for key in ("name", "namespace", "uid"))
    owner = {
        "apiVersion": policy["apiVersion"],
        "kind": policy["kind"],
        "name": name,
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
    return {
        "apiVersion": "assay.dev/v1alpha1",
        "kind": "ScoreReport",
        "metadata": {"name": f"{name}-{epoch}-{digest}", "namespace": namespace, "ownerReferences": [owner]},
        "spec": {
            "subnet": {"namespace": namespace, "name": "market", "uid": "b9f6ec9a-0000-4000-8000-000000000000"},
            "epoch": epoch,
            "validator": {"name": name, "uid": uid},
            "assignmentDigest": f"sha256:{'0' * 64}",
            "scores": [{"uid": 0, "weight": 65535, "samples": 32, "failures": 0, "qualityPpm": 1000000}],
            "startedAt": "2026-11-24T20:10:00Z",
            "finishedAt": "2026-11-24T20:11:00Z",
        },
    }


@pytest.fixture(scope="module")
def installation() -> Installation:
    """The chart, installed; the cluster is left up for the next run."""
    cluster = LocalCluster(name="chart")
    cluster.up()
    installed = Installation(cluster)
    installed.install()
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=EVERYTHING_OF_OURS)
    wait_for_enforcement(installed)
    return installed


def wait_for_enforcement(installed: Installation) -> None:
    """Wait until the API server has compiled every policy and refuses what they refuse, and knows the tests' own role.

    Policies reach admission by a watch of the API server's own: shortly after Helm is done, not at the same moment.
    """
    probe = subnet("enforcement-probe", "default", annotations={"assay.dev/probe": "x"})
    policy = {**validator_policy("probe", "default"), "metadata": {"name": "p", "namespace": "default", "uid": "u"}}

    def refused() -> bool:
        metadata = installed.request("POST", path_of("subnets", "default"), probe, user="probe", dry_run=True)
        report = score_report(policy)
        filed = installed.request("POST", path_of("scorereports", "default"), report, user="probe", dry_run=True)
        return "metadata.annotations" in metadata.message and "may create it" in filed.message

    wait_until(refused, "the admission policies are enforced", timeout_s=60)
    policies = installed.must("GET", "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies")["items"]
    for item in policies:
        path = f"/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/{item['metadata']['name']}"
        wait_until(
            lambda path=path: installed.must("GET", path).get("status", {}).get("observedGeneration") is not None,
            f"{item['metadata']['name']} is type-checked",
        )
