"""The real node with the operator running on it as users run it: image, chart, RBAC and policies included.

Owns no cluster: `hack/cluster` makes it, and it stays up after the tests. With $CONTEXT the user's own cluster is used,
which then needs the images under $REGISTRY.
"""

import contextlib
import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

from kubernetes import client, config, watch

from cluster import ROOT, LocalCluster
from helm import CHART, helm

GROUP, VERSION, PLURAL = "assay.dev", "v1alpha1", "modeldeployments"
RELEASE, SYSTEM = "assay", "assay-system"
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
TRITON_IMAGE = "localhost/assay/triton:dev"


@dataclass
class Node:
    """A cluster with the operator on it, and what tests ask of it."""

    cluster: LocalCluster
    api: client.ApiClient
    history: "History" = field(init=False)

    def __post_init__(self) -> None:
        self.history = History(client.CustomObjectsApi(self.api))

    def apply(self, *manifests: Mapping[str, Any]) -> None:
        """Apply as a user would."""
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)})
        self.cluster.kubectl("apply", "--server-side", "-f", "-", stdin=text)

    def deployment(self, namespace: str, name: str) -> dict[str, Any]:
        """A ModelDeployment as it is now."""
        objects = client.CustomObjectsApi(self.api)
        return dict(objects.get_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, name))

    def pods(self, namespace: str, name: str) -> list[Any]:
        """Its pods that are not on their way out."""
        selector = f"assay.dev/kind=ModelDeployment,assay.dev/name={name}"
        found = client.CoreV1Api(self.api).list_namespaced_pod(namespace, label_selector=selector).items
        return [pod for pod in found if pod.metadata.deletion_timestamp is None]

    def triton(self, pod: Any, path: str, *, method: str = "GET") -> int:
        """Ask a pod's HTTP port from beside the node; returns the status code."""
        request = ["curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_code}", "--request", method]
        url = f"http://{pod.status.pod_ip}:8000{path}"
        done = subprocess.run(self.cluster.exec_argv(*request, url), capture_output=True, text=True, check=True)
        return int(done.stdout)


class History:
    """Every Ready condition that any ModelDeployment ever showed, from a watch of our own."""

    def __init__(self, objects: client.CustomObjectsApi) -> None:
        self._objects = objects
        self._seen: dict[tuple[str, str], list[tuple[str, str]]] = {}
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True, name="history")

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stopping.set()

    def of(self, namespace: str, name: str) -> list[tuple[str, str]]:
        """The (status, reason) that Ready went through."""
        with self._changed:
            return list(self._seen.get((namespace, name), []))

    def wait(self, namespace: str, name: str, holds: Callable[[tuple[str, str]], bool], within_s: float) -> float:
        """Wait until the latest Ready fulfils `holds`; returns the seconds it took. Fails with what was seen."""
        started_s = monotonic()
        with self._changed:
            while not ((seen := self._seen.get((namespace, name))) and holds(seen[-1])):
                left_s = within_s - (monotonic() - started_s)
                assert left_s > 0, f"{namespace}/{name}: not within {within_s:g} s; Ready was {seen}"
                self._changed.wait(left_s)
        return monotonic() - started_s

    def _follow(self) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(client.ApiException, OSError):
                stream = watch.Watch().stream(
                    self._objects.list_cluster_custom_object, GROUP, VERSION, PLURAL, timeout_seconds=60
                )
                for event in stream:
                    self._take(event["type"], event["object"])

    def _take(self, kind: str, obj: Mapping[str, Any]) -> None:
        key = (obj["metadata"]["namespace"], obj["metadata"]["name"])
        ready = next((it for it in obj.get("status", {}).get("conditions", []) if it["type"] == "Ready"), None)
        with self._changed:
            if kind == "DELETED":
                self._seen.pop(key, None)
            elif ready is not None:
                states = self._seen.setdefault(key, [])
                state = (ready["status"], ready["reason"])
                if not states or states[-1] != state:
                    states.append(state)
            self._changed.notify_all()


def operated_node(*models: str) -> Iterator[Node]:
    """Up for the time of a fixture: the node with Triton's and these models' images, and the operator on it."""
    cluster = LocalCluster(os.environ.get("ASSAY_E2E_CLUSTER", "dev"), "node")
    cluster.up()
    built = subprocess.run(
        [ROOT / "hack/images/build", "operator", "triton", *models], stdout=subprocess.PIPE, text=True, check=True
    )
    archives = [Path(line) for line in built.stdout.split() if line.endswith(".tar")]
    for archive in archives:
        cluster.load_image(archive)
    install(cluster, next(archive.parent.name for archive in archives if archive.name == "assay.tar"))
    with config.new_client_from_config(str(cluster.kubeconfig)) as api:
        node = Node(cluster, api)
        node.history.start()
        yield node
        node.history.stop()


def install(cluster: LocalCluster, build: str) -> None:
    """The chart with this checkout's images; `build` changes with the operator's."""
    repository, _, tag = cluster.image("localhost/assay/assay:dev").rpartition(":")
    helm(
        *("upgrade", "--install", RELEASE, str(CHART), "--namespace", SYSTEM, "--create-namespace"),
        *("--set", f"image.repository={repository},image.tag={tag},triton.image={cluster.image(TRITON_IMAGE)}"),
        *("--set-string", f"podAnnotations.build={build}", "--wait", "--timeout", "3m"),
        kubeconfig=cluster.kubeconfig,
    )
