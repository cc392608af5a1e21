"""Pod Security `restricted`, as data: what assay's pods are given, and what is left to object to in a pod spec.

Owns the check that lets a template be refused with a remedy before the API server refuses its pods one by one. The
rules are those of Kubernetes' Pod Security Standards at 1.37 for Linux pods; the admission controller is the authority.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

RESTRICTED_CONTAINER: Final = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
}
"""The least a container says for `restricted`; runAsNonRoot and seccomp come from the pod."""

VOLUME_SOURCES: Final = frozenset(
    {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
)
SAFE_SYSCTLS: Final = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.tcp_wmem",
    }
)
SELINUX_TYPES: Final = frozenset({"container_t", "container_init_t", "container_kvm_t", "container_engine_t"})
PROBES: Final = ("livenessProbe", "readinessProbe", "startupProbe")


def violations(pod_spec: Mapping[str, Any]) -> list[str]:
    """What Pod Security `restricted` objects to, one `field: problem; remedy` each, fields relative to the pod spec.

    A value of the wrong type is an objection too: a check that cannot read a field must not pass it.
    """
    try:
        return [*_pod_violations(pod_spec), *_container_violations(pod_spec)]
    except (AttributeError, TypeError, KeyError) as problem:
        return [f"a field has the wrong type ({problem}); write it as in a Pod"]


def _pod_violations(pod_spec: Mapping[str, Any]) -> Iterator[str]:
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if pod_spec.get(field):
            yield f"{field}: shares the node's own namespace; remove it"
    for volume in pod_spec.get("volumes", []):
        for source in sorted(set(volume) - {"name"} - VOLUME_SOURCES):
            allowed = ", ".join(sorted(VOLUME_SOURCES))
            yield f"volumes[{volume['name']}].{source}: this kind of volume is not allowed; use one of {allowed}"
    context = pod_spec.get("securityContext", {})
    for sysctl in context.get("sysctls", []):
        if sysctl["name"] not in SAFE_SYSCTLS:
            yield f"securityContext.sysctls[{sysctl['name']}]: not among the safe ones; remove it"
    yield from _context_violations(context, "securityContext")
    if context.get("runAsNonRoot") is not True:
        yield "securityContext.runAsNonRoot: must be true; remove the override"
    if _profile(context, "seccompProfile") not in {"RuntimeDefault", "Localhost"}:
        yield "securityContext.seccompProfile.type: must be RuntimeDefault or Localhost; remove the override"


def _container_violations(pod_spec: Mapping[str, Any]) -> Iterator[str]:
    for field in ("initContainers", "containers"):
        for container in pod_spec.get(field, []):
            path = f"{field}[{container['name']}]"
            for check in _CONTAINER_CHECKS:
                yield from check(container, path)


def _security(container: Mapping[str, Any], path: str) -> Iterator[str]:
    context = container.get("securityContext", {})
    path = f"{path}.securityContext"
    yield from _context_violations(context, path)
    if context.get("privileged"):
        yield f"{path}.privileged: gives the pod the node; remove it"
    if context.get("allowPrivilegeEscalation") is not False:
        yield f"{path}.allowPrivilegeEscalation: must be false; remove the override"
    if context.get("runAsNonRoot", True) is not True:
        yield f"{path}.runAsNonRoot: must be true; remove the override"
    if context.get("procMount", "Default") != "Default":
        yield f"{path}.procMount: must be Default; remove it"
    capabilities = context.get("capabilities", {})
    if "ALL" not in capabilities.get("drop", []):
        yield f"{path}.capabilities.drop: must contain ALL; remove the override"
    for capability in capabilities.get("add", []):
        if capability != "NET_BIND_SERVICE":
            yield f"{path}.capabilities.add: {capability} is not allowed; only NET_BIND_SERVICE may be added"


def _context_violations(context: Mapping[str, Any], path: str) -> Iterator[str]:
    if context.get("runAsUser") == 0:
        yield f"{path}.runAsUser: must not be 0; choose a user of the image that is not root"
    if _profile(context, "seccompProfile") not in {None, "RuntimeDefault", "Localhost"}:
        yield f"{path}.seccompProfile.type: must be RuntimeDefault or Localhost; remove the override"
    if _profile(context, "appArmorProfile") not in {None, "RuntimeDefault", "Localhost"}:
        yield f"{path}.appArmorProfile.type: must be RuntimeDefault or Localhost; remove the override"
    selinux = context.get("seLinuxOptions", {})
    if selinux.get("type") not in {None, "", *SELINUX_TYPES} or selinux.get("user") or selinux.get("role"):
        yield f"{path}.seLinuxOptions: only the container types and a level may be set; remove user, role and type"
    if context.get("windowsOptions", {}).get("hostProcess"):
        yield f"{path}.windowsOptions.hostProcess: gives the pod the node; remove it"


def _profile(context: Mapping[str, Any], field: str) -> Any:  # noqa: ANN401 - whatever the user wrote
    return context.get(field, {}).get("type")


def _ports(container: Mapping[str, Any], path: str) -> Iterator[str]:
    for port in container.get("ports", []):
        if port.get("hostPort"):
            yield f"{path}.ports[{port['containerPort']}].hostPort: takes a port of the node; use a Service"


def _handlers(container: Mapping[str, Any], path: str) -> Iterator[str]:
    lifecycle = container.get("lifecycle", {})
    named = {probe: container.get(probe, {}) for probe in PROBES} | {
        f"lifecycle.{hook}": lifecycle.get(hook, {}) for hook in ("postStart", "preStop")
    }
    for name, handler in named.items():
        for action in ("httpGet", "tcpSocket"):
            if handler.get(action, {}).get("host"):
                yield f"{path}.{name}.{action}.host: makes the kubelet call another host; remove it"


_CONTAINER_CHECKS: Final[tuple[Callable[[Mapping[str, Any], str], Iterator[str]], ...]] = (_security, _ports, _handlers)
