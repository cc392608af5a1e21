"""Keys and certificates of one cluster, made with the openssl command.

Owns `pki/` of the data folder. Keys live as long as the cluster and are readable by root only.
"""

from pathlib import Path

from .console import run
from .layout import API_SERVICE_IP, NODE_NAME, Layout

_VALID_DAYS = "365"
_EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc")
_MASTERS = "/O=system:masters"
CLIENTS = {
    "admin": f"{_MASTERS}/CN=admin",
    "apiserver-kubelet-client": f"{_MASTERS}/CN=kube-apiserver-kubelet-client",
    "kwok": f"{_MASTERS}/CN=kwok",
    "controller-manager": "/CN=system:kube-controller-manager",
    "scheduler": "/CN=system:kube-scheduler",
    "kube-proxy": "/CN=system:kube-proxy",
}


def create(layout: Layout) -> None:
    """Write the CA, one certificate per component and the service account key."""
    folder = layout.pki
    folder.mkdir(parents=True, mode=0o700, exist_ok=True)
    run(
        "openssl", "req", "-x509", *_EC, "-days", _VALID_DAYS, "-subj", f"/CN=assay {layout.name}",
        "-addext", "keyUsage=critical,keyCertSign,cRLSign,digitalSignature",
        "-keyout", f"{folder}/ca.key", "-out", f"{folder}/ca.crt",
    )  # fmt: skip
    for name, subject in CLIENTS.items():
        _issue(folder, name, subject, "clientAuth")
    names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"]
    alternatives = [f"DNS:{name}" for name in (*names, "localhost")]
    alternatives += [f"IP:{address}" for address in (layout.node_ip, API_SERVICE_IP, "127.0.0.1")]
    _issue(folder, "apiserver", "/CN=kube-apiserver", "serverAuth", alternatives)
    node_subject = f"/O=system:nodes/CN=system:node:{NODE_NAME}"
    _issue(folder, "kubelet", node_subject, "clientAuth,serverAuth", [f"DNS:{NODE_NAME}", f"IP:{layout.node_ip}"])
    run("openssl", "genrsa", "-out", f"{folder}/sa.key", "2048")
    run("openssl", "rsa", "-in", f"{folder}/sa.key", "-pubout", "-out", f"{folder}/sa.pub")


def _issue(folder: Path, name: str, subject: str, usage: str, alternatives: list[str] | None = None) -> None:
    extensions = ["-addext", "basicConstraints=critical,CA:FALSE", "-addext", f"extendedKeyUsage={usage}"]
    extensions += ["-addext", "keyUsage=critical,digitalSignature"]
    if alternatives:
        extensions += ["-addext", f"subjectAltName={','.join(alternatives)}"]
    run(
        "openssl", "req", "-x509", *_EC, "-days", _VALID_DAYS, "-subj", subject, *extensions,
        "-CA", f"{folder}/ca.crt", "-CAkey", f"{folder}/ca.key",
        "-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.crt",
    )  # fmt: skip
