"""The strategic merge of a podTemplate, and what it refuses."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.desired.podtemplate import PodTemplateRefused, merge_pod_template


def base() -> dict[str, Any]:
    return {
        "metadata": {"labels": {"assay.dev/name": "minilm"}},
        "spec": {
            "serviceAccountName": "minilm-triton",
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 45,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 1000,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "triton",
                    "image": "triton:1",
                    "args": ["--model-repository=/models"],
                    "env": [{"name": "HOME", "value": TMP}],
                    "ports": [{"name": "grpc", "containerPort": 8001}],
                    "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 2},
                    "resources": {"limits": {"nvidia.com/gpu": "1"}},
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                        "readOnlyRootFilesystem": True,
                    },
                    "volumeMounts": [
                        {"name": "model", "mountPath": "/models", "readOnly": True},
                        {"name": "tmp", "mountPath": TMP},
                    ],
                }
            ],
            "volumes": [{"name": "model", "image": {"reference": "model:1"}}, {"name": "tmp", "emptyDir": {}}],
        },
    }


TMP = "/tmp"  # noqa: S108 - a path in a manifest
FIXED = {
    ("args",): "set spec.triton.args",
    ("readinessProbe", "httpGet"): "it asks the model",
    ("resources", "limits", "nvidia.com/gpu"): "set spec.gpus",
}
FIXED_POD = {("terminationGracePeriodSeconds",): "set spec.drain"}


def merge(overlay: dict[str, Any]) -> dict[str, Any]:
    return merge_pod_template(
        base(), overlay, container="triton", fixed=FIXED, fixed_pod=FIXED_POD, path="spec.podTemplate"
    )


def triton(**fields: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "triton", **fields}]}}


def merged_container(**fields: Any) -> dict[str, Any]:
    return next(c for c in merge(triton(**fields))["spec"]["containers"] if c["name"] == "triton")


def test_an_empty_template_changes_nothing() -> None:
    assert merge({}) == base()


def test_the_base_is_not_touched_by_the_merge() -> None:
    before = base()
    merge_pod_template(before, triton(env=[{"name": "A", "value": "1"}]), container="triton")
    assert before == base()


@pytest.mark.parametrize(
    ("overlay", "path", "expected"),
    [
        pytest.param(
            triton(env=[{"name": "DEMO_DELAY_MS", "value": "300"}]),
            "env",
            [{"name": "HOME", "value": TMP}, {"name": "DEMO_DELAY_MS", "value": "300"}],
            id="environment variables are added by name",
        ),
        pytest.param(
            triton(env=[{"name": "HOME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]),
            "env",
            [{"name": "HOME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
            id="an environment variable is replaced whole, never given two sources",
        ),
        pytest.param(
            triton(resources={"requests": {"cpu": "1"}}),
            "resources",
            {"limits": {"nvidia.com/gpu": "1"}, "requests": {"cpu": "1"}},
            id="resources merge key by key",
        ),
        pytest.param(
            triton(readinessProbe={"periodSeconds": 5}),
            "readinessProbe",
            {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 5},
            id="a probe may be tuned",
        ),
        pytest.param(
            triton(env=[{"name": "HOME", "$patch": "delete"}]), "env", [], id="an element is deleted by $patch: delete"
        ),
        pytest.param(
            triton(env=[{"$patch": "replace"}, {"name": "A", "value": "1"}]),
            "env",
            [{"name": "A", "value": "1"}],
            id="a list starts afresh with $patch: replace",
        ),
    ],
)
def test_the_container_triton_is_merged_into(overlay: dict[str, Any], path: str, expected: Any) -> None:
    assert next(iter(merge(overlay)["spec"]["containers"]))[path] == expected


@pytest.mark.parametrize(
    ("spec", "path", "expected"),
    [
        pytest.param({"priorityClassName": "gold"}, "priorityClassName", "gold", id="a priority class is added"),
        pytest.param({"runtimeClassName": "nvidia"}, "runtimeClassName", "nvidia", id="a runtime class is added"),
        pytest.param(
            {"tolerations": [{"operator": "Exists"}]},
            "tolerations",
            [{"operator": "Exists"}],
            id="tolerations are added",
        ),
        pytest.param(
            {"volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}}]},
            "volumes",
            [{"name": "model", "image": {"reference": "model:1"}}, {"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}}],
            id="an emptyDir of assay may be sized",
        ),
        pytest.param(
            {"securityContext": {"runAsUser": 1234}},
            "securityContext",
            {"runAsNonRoot": True, "runAsUser": 1234, "seccompProfile": {"type": "RuntimeDefault"}},
            id="another user that is not root may be chosen",
        ),
    ],
)
def test_the_pod_is_merged_into(spec: dict[str, Any], path: str, expected: Any) -> None:
    assert merge({"spec": spec})["spec"][path] == expected


def test_a_sidecar_that_says_nothing_about_security_is_restricted() -> None:
    merged = merge({"spec": {"containers": [{"name": "proxy", "image": "proxy:1"}]}})
    assert [container["name"] for container in merged["spec"]["containers"]] == ["triton", "proxy"]
    assert merged["spec"]["containers"][1]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }


def test_labels_and_annotations_are_added() -> None:
    merged = merge({"metadata": {"labels": {"team": "a"}, "annotations": {"note": "b"}}})
    assert merged["metadata"] == {"labels": {"assay.dev/name": "minilm", "team": "a"}, "annotations": {"note": "b"}}


def pod(**fields: Any) -> dict[str, Any]:
    return {"spec": fields}


REFUSED = [
    ("a label of the selector changed", {"metadata": {"labels": {"assay.dev/name": "other"}}}, "must stay 'minilm'"),
    ("a label of the selector removed", {"metadata": {"labels": {"assay.dev/name": None}}}, "must stay 'minilm'"),
    ("all metadata removed", {"metadata": None}, "must stay 'minilm'"),
    ("a name for the pods", {"metadata": {"name": "mine"}}, "only labels and annotations can be added"),
    ("containers beside spec", {"containers": []}, "spec.podTemplate.containers: unknown"),
    ("the container deleted", triton(**{"$patch": "delete"}), "containers[triton]: this container must stay"),
    ("all containers removed", pod(containers=None), "containers[triton]: this container must stay"),
    ("other arguments", triton(args=["--help"]), "containers[triton].args: cannot be set here; set spec.triton.args"),
    ("another probe", triton(readinessProbe={"httpGet": {"path": "/"}}), "readinessProbe.httpGet: cannot be set here"),
    ("another number of GPUs", triton(resources={"limits": {"nvidia.com/gpu": "2"}}), "set spec.gpus"),
    ("no GPU at all", triton(resources={"limits": None}), "set spec.gpus"),
    ("a shorter grace period", pod(terminationGracePeriodSeconds=1), "set spec.drain"),
    (
        "a mount over the model",
        triton(volumeMounts=[{"name": "x", "mountPath": "/models"}]),
        "mount yours at another path",
    ),
    (
        "the model mount deleted",
        triton(volumeMounts=[{"$patch": "delete", "mountPath": "/models"}]),
        "belongs to assay",
    ),
    ("another port under a known number", triton(ports=[{"containerPort": 8001, "name": "x"}]), "under another number"),
    ("another source for the model", pod(volumes=[{"name": "model", "emptyDir": {}}]), "give your volume another name"),
    ("a writable root", triton(securityContext={"readOnlyRootFilesystem": False}), "must stay true"),
    ("a token mounted", pod(automountServiceAccountToken=True), "assay decides which pods get a token"),
    ("another service account", pod(serviceAccountName="default"), "an account without rights"),
    ("another service account by the old name", pod(serviceAccount="default"), "an account without rights"),
    ("another restart policy", pod(restartPolicy="Never"), "restartPolicy: cannot be changed"),
    ("a node named", pod(nodeName="node-1"), "use nodeSelector or affinity"),
    (
        "a projected token",
        pod(volumes=[{"name": "token", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}]),
        "projects a service account token",
    ),
    ("the host's network", pod(hostNetwork=True), "hostNetwork: shares the node's own namespace"),
    ("the host's processes", pod(hostPID=True), "hostPID: shares the node's own namespace"),
    ("the host's memory", pod(hostIPC=True), "hostIPC: shares the node's own namespace"),
    (
        "a host path",
        pod(volumes=[{"name": "h", "hostPath": {"path": "/"}}]),
        "volumes[h].hostPath: this kind of volume",
    ),
    ("an NFS volume", pod(volumes=[{"name": "n", "nfs": {"server": "a", "path": "/"}}]), "volumes[n].nfs"),
    ("a privileged container", triton(securityContext={"privileged": True}), "privileged: gives the pod the node"),
    (
        "a privileged sidecar",
        pod(containers=[{"name": "s", "securityContext": {"privileged": True}}]),
        "containers[s].securityContext.privileged",
    ),
    (
        "a privileged init container",
        pod(initContainers=[{"name": "i", "securityContext": {"privileged": True}}]),
        "initContainers[i].securityContext.privileged",
    ),
    (
        "escalation",
        triton(securityContext={"allowPrivilegeEscalation": True}),
        "allowPrivilegeEscalation: must be false",
    ),
    ("escalation left open", triton(securityContext={"allowPrivilegeEscalation": None}), "must be false"),
    ("a capability", triton(securityContext={"capabilities": {"add": ["SYS_ADMIN"]}}), "SYS_ADMIN is not allowed"),
    ("capabilities kept", triton(securityContext={"capabilities": {"drop": []}}), "must contain ALL"),
    ("root by the pod", pod(securityContext={"runAsUser": 0}), "securityContext.runAsUser: must not be 0"),
    ("root by the container", triton(securityContext={"runAsUser": 0}), "runAsUser: must not be 0"),
    ("root allowed by the pod", pod(securityContext={"runAsNonRoot": False}), "runAsNonRoot: must be true"),
    ("root allowed by the container", triton(securityContext={"runAsNonRoot": False}), "runAsNonRoot: must be true"),
    (
        "seccomp off",
        pod(securityContext={"seccompProfile": {"type": "Unconfined"}}),
        "must be RuntimeDefault or Localhost",
    ),
    ("seccomp forgotten", pod(securityContext={"seccompProfile": None}), "must be RuntimeDefault or Localhost"),
    ("the security context removed", pod(securityContext=None), "runAsNonRoot: must be true"),
    ("AppArmor off", pod(securityContext={"appArmorProfile": {"type": "Unconfined"}}), "appArmorProfile.type"),
    ("an SELinux user", pod(securityContext={"seLinuxOptions": {"user": "root"}}), "seLinuxOptions"),
    ("unmasked proc", triton(securityContext={"procMount": "Unmasked"}), "procMount: must be Default"),
    ("an unsafe sysctl", pod(securityContext={"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}), "kernel.msgmax"),
    ("a host port", triton(ports=[{"containerPort": 9000, "hostPort": 9000}]), "hostPort: takes a port of the node"),
    ("a probe of another host", triton(livenessProbe={"httpGet": {"host": "10.0.0.1"}}), "makes the kubelet call"),
    (
        "a hook to another host",
        triton(lifecycle={"postStart": {"httpGet": {"host": "10.0.0.1"}}}),
        "lifecycle.postStart.httpGet.host",
    ),
    ("ephemeral containers", pod(ephemeralContainers=[{"name": "debug"}]), "a template has none"),
    ("a container without a name", pod(containers=[{"image": "x"}]), "containers[0].name: required"),
    ("a container that is a string", pod(containers=["triton"]), "containers[0]: expected an object with name"),
    ("containers that are a string", pod(containers="triton"), "containers: expected a list, found 'triton'"),
    ("a spec that is a list", {"spec": []}, "spec.podTemplate.spec: expected an object, found a list"),
    ("args that are a string", triton(args="--help"), "args: expected a list, found '--help'"),
    ("a directive nobody knows", pod(**{"$retainKeys": ["a"]}), "this directive is not supported"),
    ("a deletion of the whole spec", pod(**{"$patch": "delete"}), "is not possible here"),
    ("ports with text for a number", triton(ports=[{"containerPort": None}]), "containerPort: required"),
    ("a sysctl list of strings", pod(securityContext={"sysctls": ["a"]}), "a field has the wrong type"),
    ("a sidecar's context of the wrong type", pod(initContainers=[{"name": "i", "ports": 5}]), "wrong type"),
]


@pytest.mark.parametrize(("overlay", "message"), [pytest.param(o, m, id=i) for i, o, m in REFUSED])
def test_what_would_break_the_pod_is_refused_with_field_and_remedy(overlay: dict[str, Any], message: str) -> None:
    with pytest.raises(PodTemplateRefused) as refused:
        merge(overlay)
    assert message in str(refused.value)
    assert str(refused.value).startswith("spec.podTemplate")


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(PodTemplateRefused) as refused:
        merge(pod(restartPolicy="Never", nodeName="n", serviceAccountName="x"))
    assert len(refused.value.problems) == 3


KEYS = [
    *("name", "containers", "initContainers", "volumes", "securityContext", "ports", "containerPort", "env", "$patch"),
    *("emptyDir", "volumeMounts", "mountPath", "triton", "projected", "sources", "lifecycle", "preStop", "privileged"),
    *("capabilities", "drop", "seccompProfile", "type", "sysctls", "labels"),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["metadata", "spec", "$patch", "other"]), JSON, max_size=3))
def test_whatever_is_written_is_merged_or_refused_and_never_breaks_the_merge(overlay: dict[str, Any]) -> None:
    try:
        merged = merge(overlay)
    except PodTemplateRefused as refused:
        merged = base()
        told = refused.problems
    else:
        told = ("merged",)
    assert told
    assert merged["spec"]["automountServiceAccountToken"] is False
    assert merged["metadata"]["labels"]["assay.dev/name"] == "minilm"
