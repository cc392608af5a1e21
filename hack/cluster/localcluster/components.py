"""Command lines and configuration files of every component. Writes files, starts nothing.

Invariant: no path or port here is shared between clusters: files lie under the cluster's own folders, ports inside its
own network namespace.
"""

import base64
import json
import os
from dataclasses import replace
from typing import Any

from . import build
from .layout import DNS_SERVICE_IP, NODE_NAME, NODE_POD_CIDR, POD_CIDR, SERVICE_CIDR, Layout
from .processes import Daemon

_ETCD_URL = "http://127.0.0.1:2379"
_CONTAINERD_TOML = """\
version = 3
root = "{data}/containerd"
state = "{run}/containerd"

[grpc]
address = "{socket}"

[plugins."io.containerd.shim.v1.manager"]
socket_dir = "{run}/s"

[plugins."io.containerd.internal.v1.opt"]
path = "{data}/opt"

[plugins."io.containerd.nri.v1.nri"]
disable = true

[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{pause}"

[plugins."io.containerd.cri.v1.runtime"]
# Where CAP_SYS_RESOURCE is missing, every sandbox would die of an oom score it may not set.
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
SystemdCgroup = false
Root = "{run}/runc"

[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["/usr/lib/cni"]
conf_dir = "{config}/cni"
"""
PAUSE_IMAGE = "assay.local/pause:1"


def control_plane(layout: Layout) -> list[Daemon]:
    """etcd, API server, controller manager and scheduler, in starting order."""
    return [_etcd(layout), _apiserver(layout), _controller_manager(layout), _scheduler(layout)]


def kwok(layout: Layout) -> Daemon:
    """The fake kubelet of all nodes annotated kwok.x-k8s.io/node=fake, and of no other."""
    return _daemon(
        build.KWOK,
        f"--kubeconfig={layout.kubeconfig_of('kwok')}",
        f"--config={build.kwok_stages()}",
        "--manage-all-nodes=false",
        "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
        "--node-lease-duration-seconds=40",
    )


def node(layout: Layout) -> list[Daemon]:
    """containerd, kubelet and kube-proxy, in starting order."""
    search = os.pathsep.join([str(build.CONTAINERD_SHIM.folder), "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"])
    containerd = _daemon(build.CONTAINERD, f"--config={layout.config}/containerd.toml")
    kubelet = _daemon(
        build.KUBELET,
        f"--kubeconfig={layout.kubeconfig_of('kubelet')}",
        f"--config={layout.config}/kubelet.json",
        f"--hostname-override={NODE_NAME}",
        f"--node-ip={layout.node_ip}",
    )
    return [
        replace(containerd, environment={"PATH": search}, of_node=True),
        replace(kubelet, of_node=True),
        _daemon(build.KUBE_PROXY, f"--config={layout.config}/kube-proxy.json"),
    ]


def write_files(layout: Layout) -> None:
    """Write every configuration file and kubeconfig; the certificates must exist."""
    for folder in (layout.config / "cni", layout.audit_log.parent, layout.data_dir / "pods"):
        folder.mkdir(parents=True, exist_ok=True)
    _write_kubeconfigs(layout)
    documents: dict[str, Any] = {
        "audit-policy.json": _audit_policy(),
        "scheduler.json": _scheduler_config(layout),
        "kubelet.json": _kubelet_config(layout),
        "kube-proxy.json": _kube_proxy_config(layout),
        "cni/10-assay.conflist": _cni_config(layout),
    }
    for name, document in documents.items():
        (layout.config / name).write_text(json.dumps(document, indent=1))
    (layout.config / "containerd.toml").write_text(
        _CONTAINERD_TOML.format(
            data=layout.data_dir,
            run=layout.run_dir,
            config=layout.config,
            socket=layout.containerd_socket,
            pause=PAUSE_IMAGE,
        )
    )


def _daemon(tool: build.Tool, *flags: str) -> Daemon:
    return Daemon(tool.name, (str(tool.path), *flags))


def _etcd(layout: Layout) -> Daemon:
    return _daemon(
        build.ETCD,
        f"--data-dir={layout.data_dir}/etcd",
        f"--listen-client-urls={_ETCD_URL}",
        f"--advertise-client-urls={_ETCD_URL}",
        "--listen-peer-urls=http://127.0.0.1:2380",
        "--unsafe-no-fsync",  # the data lives no longer than the cluster
        "--log-level=warn",
    )


def _apiserver(layout: Layout) -> Daemon:
    pki = layout.pki
    return _daemon(
        build.KUBE_APISERVER,
        f"--etcd-servers={_ETCD_URL}",
        f"--advertise-address={layout.node_ip}",
        "--secure-port=6443",
        f"--service-cluster-ip-range={SERVICE_CIDR}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        f"--client-ca-file={pki}/ca.crt",
        f"--tls-cert-file={pki}/apiserver.crt",
        f"--tls-private-key-file={pki}/apiserver.key",
        "--kubelet-preferred-address-types=InternalIP",
        f"--kubelet-certificate-authority={pki}/ca.crt",
        f"--kubelet-client-certificate={pki}/apiserver-kubelet-client.crt",
        f"--kubelet-client-key={pki}/apiserver-kubelet-client.key",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={pki}/sa.pub",
        f"--service-account-signing-key-file={pki}/sa.key",
        f"--audit-policy-file={layout.config}/audit-policy.json",
        f"--audit-log-path={layout.audit_log}",
        "--audit-log-maxsize=1000000",  # megabytes: one file, never rotated, so that tests can count in it
    )


def _controller_manager(layout: Layout) -> Daemon:
    pki = layout.pki
    return _daemon(
        build.KUBE_CONTROLLER_MANAGER,
        f"--kubeconfig={layout.kubeconfig_of('controller-manager')}",
        "--allocate-node-cidrs=true",
        f"--cluster-cidr={POD_CIDR}",
        f"--service-cluster-ip-range={SERVICE_CIDR}",
        "--node-cidr-mask-size=24",
        f"--root-ca-file={pki}/ca.crt",
        f"--service-account-private-key-file={pki}/sa.key",
        f"--cluster-signing-cert-file={pki}/ca.crt",
        f"--cluster-signing-key-file={pki}/ca.key",
        "--use-service-account-credentials=true",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        # The defaults of 20 and 30 requests a second would dominate every figure measured here.
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
    )


def _scheduler(layout: Layout) -> Daemon:
    return _daemon(build.KUBE_SCHEDULER, f"--config={layout.config}/scheduler.json", "--bind-address=127.0.0.1")


def _scheduler_config(layout: Layout) -> dict[str, Any]:
    return {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "leaderElection": {"leaderElect": False},
        "clientConnection": {"kubeconfig": str(layout.kubeconfig_of("scheduler")), "qps": 500, "burst": 1000},
    }


def _audit_policy() -> dict[str, Any]:
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [
            {"level": "None", "nonResourceURLs": ["/healthz*", "/livez*", "/readyz*", "/version"]},
            {"level": "Metadata"},
        ],
    }


def _kubelet_config(layout: Layout) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": layout.node_ip,
        "authentication": {"anonymous": {"enabled": False}, "x509": {"clientCAFile": f"{layout.pki}/ca.crt"}},
        "tlsCertFile": f"{layout.pki}/kubelet.crt",
        "tlsPrivateKeyFile": f"{layout.pki}/kubelet.key",
        "containerRuntimeEndpoint": f"unix://{layout.containerd_socket}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{layout.cgroup}",
        "enforceNodeAllocatable": [],
        "failCgroupV1": False,
        "failSwapOn": False,
        "localStorageCapacityIsolation": False,
        "evictionHard": {},
        "oomScoreAdj": 0,
        "resolvConf": "",
        "clusterDNS": [DNS_SERVICE_IP],
        "clusterDomain": "cluster.local",
        "podLogsDir": f"{layout.data_dir}/pods",
        "volumePluginDir": "/var/lib/kubelet/volume-plugins",  # the node's own /var/lib/kubelet: see mounts.py
        "serializeImagePulls": False,
        # Images are loaded from archives: one that the kubelet collects cannot be pulled again.
        "imageGCHighThresholdPercent": 100,
    }


def _kube_proxy_config(layout: Layout) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(layout.kubeconfig_of("kube-proxy"))},
        "mode": "nftables",
        "clusterCIDR": POD_CIDR,
        "hostnameOverride": NODE_NAME,
        # The sizes of the connection table belong to the host.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }


def _cni_config(layout: Layout) -> dict[str, Any]:
    addresses = {"type": "host-local", "ranges": [[{"subnet": NODE_POD_CIDR}]], "routes": [{"dst": "0.0.0.0/0"}]}
    addresses["dataDir"] = f"{layout.data_dir}/cni"
    bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": False, "hairpinMode": True}
    return {
        "cniVersion": "1.0.0",
        "name": layout.netns,
        "plugins": [{**bridge, "ipam": addresses}, {"type": "portmap", "capabilities": {"portMappings": True}}],
    }


def _write_kubeconfigs(layout: Layout) -> None:
    for user in ("kwok", "controller-manager", "scheduler", "kube-proxy", "kubelet"):
        _write_private(layout, layout.kubeconfig_of(user), user)
    _write_private(layout, layout.kubeconfig, "admin")
    if "SUDO_UID" in os.environ:
        os.chown(layout.kubeconfig, int(os.environ["SUDO_UID"]), int(os.environ["SUDO_GID"]))


def _write_private(layout: Layout, path: os.PathLike[str], user: str) -> None:
    def encoded(name: str) -> str:
        return base64.b64encode((layout.pki / name).read_bytes()).decode()

    context = layout.netns
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": context, "cluster": {"server": layout.server, "certificate-authority-data": encoded("ca.crt")}}
        ],
        "users": [
            {
                "name": user,
                "user": {
                    "client-certificate-data": encoded(f"{user}.crt"),
                    "client-key-data": encoded(f"{user}.key"),
                },
            }
        ],
        "contexts": [{"name": context, "context": {"cluster": context, "user": user}}],
        "current-context": context,
    }
    with open(path, "w", opener=lambda target, flags: os.open(target, flags, 0o600)) as file:
        json.dump(document, file, indent=1)
