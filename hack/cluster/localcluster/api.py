"""A few requests to the cluster's own API server, as its admin, for bringing it up: not a client library."""

import base64
import json
import ssl
import tempfile
import urllib.error
import urllib.request
from typing import Any

from . import build
from .console import ClusterError, run, wait_for
from .layout import NODE_NAME, Layout
from .processes import check

_APPLY = "application/apply-patch+yaml"
_MERGE = "application/strategic-merge-patch+json"


class Admin:
    """Requests with the certificate of the admin kubeconfig, which is read once."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        document = json.loads(layout.kubeconfig.read_text())
        authority = base64.b64decode(document["clusters"][0]["cluster"]["certificate-authority-data"]).decode()
        user = document["users"][0]["user"]
        context = ssl.create_default_context(cadata=authority)
        with tempfile.NamedTemporaryFile() as pair:  # the ssl module takes key pairs from files only; mode is 0600
            pair.write(base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"]))
            pair.flush()
            context.load_cert_chain(pair.name)
        handlers = (urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
        self._opener = urllib.request.build_opener(*handlers)

    def get(self, path: str) -> dict[str, Any] | None:
        """Return the JSON at `path`, or None if it does not exist."""
        try:
            document: dict[str, Any] = json.loads(self._send("GET", path))
            return document
        except urllib.error.HTTPError as refusal:
            if refusal.code == 404:
                return None
            raise ClusterError(f"GET {path}: {refusal}: {refusal.read().decode()[:500]}") from refusal

    def apply(self, path: str, document: dict[str, Any]) -> None:
        """Server-side apply of one object."""
        self._patch(f"{path}?fieldManager=assay-cluster&force=true", document, _APPLY)

    def merge(self, path: str, document: dict[str, Any]) -> None:
        """Strategic merge patch of one object or subresource."""
        self._patch(path, document, _MERGE)

    def ready(self) -> bool:
        """Tell whether the API server is up and says so."""
        try:
            return self._send("GET", "/readyz") == b"ok"
        except OSError:
            return False

    def _patch(self, path: str, document: dict[str, Any], content_type: str) -> None:
        try:
            self._send("PATCH", path, json.dumps(document).encode(), content_type)
        except urllib.error.HTTPError as refusal:
            raise ClusterError(f"PATCH {path}: {refusal}: {refusal.read().decode()[:500]}") from refusal

    def _send(self, method: str, path: str, body: bytes | None = None, content_type: str = _MERGE) -> bytes:
        headers = {"Content-Type": content_type} if body is not None else {}
        request = urllib.request.Request(self._layout.server + path, body, headers, method=method)
        with self._opener.open(request, timeout=10) as answer:
            content: bytes = answer.read()
            return content


def wait_ready(layout: Layout, timeout_s: float = 90) -> Admin:
    """Wait until the API server says that it is ready; fail at once if it has died."""
    admin = Admin(layout)

    def ready() -> bool:
        check(layout, build.KUBE_APISERVER.name)
        return admin.ready()

    wait_for("the API server is ready", ready, timeout_s, f"See {layout.log(build.KUBE_APISERVER.name)}")
    return admin


def wait_for_default_account(layout: Layout, admin: Admin, timeout_s: float = 60) -> None:
    """Wait for the controller manager: until it has made the service account of a namespace, pods are refused."""

    def made() -> bool:
        check(layout, build.KUBE_CONTROLLER_MANAGER.name)
        return admin.get("/api/v1/namespaces/default/serviceaccounts/default") is not None

    where = f"See {layout.log(build.KUBE_CONTROLLER_MANAGER.name)}"
    wait_for("the default service account exists", made, timeout_s, where)


def kubectl(layout: Layout, *argv: str, stdin: str | None = None) -> str:
    """Run kubectl with the admin kubeconfig."""
    return run(str(build.client_folder() / "kubectl"), f"--kubeconfig={layout.kubeconfig}", *argv, stdin=stdin)


def node_is_ready(admin: Admin, name: str = NODE_NAME) -> bool:
    """Tell whether a node exists and has the condition Ready."""
    return has_condition(admin.get(f"/api/v1/nodes/{name}"), "Ready")


def has_condition(document: dict[str, Any] | None, kind: str) -> bool:
    """Tell whether an object exists and its condition `kind` is True."""
    conditions = (document or {}).get("status", {}).get("conditions", ())
    return any(condition["type"] == kind and condition["status"] == "True" for condition in conditions)
