"""What the chart renders, read from the output of the real Helm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from helm import CHART, helm, only, template

VALUES = sorted((Path(__file__).parent / "values").glob("*.yaml"))
KEEP = "helm.sh/resource-policy"


@pytest.fixture(scope="module")
def objects() -> list[dict[str, Any]]:
    return template()


def values_file(name: str) -> str:
    return f"--values={Path(__file__).parent / 'values' / name}.yaml"


def operator_pod(objects: list[dict[str, Any]]) -> dict[str, Any]:
    pod: dict[str, Any] = only(objects, "Deployment")["spec"]["template"]["spec"]
    return pod


def container(objects: list[dict[str, Any]]) -> dict[str, Any]:
    (found,) = operator_pod(objects)["containers"]
    return dict(found)


def environment(objects: list[dict[str, Any]]) -> dict[str, Any]:
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container(objects)["env"]}


@pytest.mark.parametrize("values", VALUES, ids=[path.stem for path in VALUES])
def test_lint_and_template_accept_the_values_file(values: Path) -> None:
    helm("lint", "--strict", str(CHART), f"--values={values}")
    rendered = template(f"--values={values}")
    identities = [(o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"]) for o in rendered]
    assert len(identities) == len(set(identities)), "two objects of one name"


def test_lint_accepts_the_defaults() -> None:
    helm("lint", "--strict", str(CHART))


def test_every_namespaced_object_is_in_the_release_namespace_and_labelled(objects: list[dict[str, Any]]) -> None:
    namespaced = {"Deployment", "ServiceAccount", "PodDisruptionBudget", "Lease", "Role", "RoleBinding", "Secret"}
    for o in objects:
        assert ("namespace" in o["metadata"]) == (o["kind"] in namespaced), o["kind"]
        assert o["metadata"]["labels"]["app.kubernetes.io/part-of"] == "assay"
        assert o["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "Helm", "assay marks the operator's own"


def test_operator_runs_two_replicas_one_of_which_may_be_away(objects: list[dict[str, Any]]) -> None:
    assert only(objects, "Deployment")["spec"]["replicas"] == 2
    assert only(objects, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1


def test_a_single_replica_gets_no_disruption_budget_that_would_block_drains() -> None:
    assert not [o for o in template("--set=replicaCount=1") if o["kind"] == "PodDisruptionBudget"]


def test_pod_passes_the_restricted_profile(objects: list[dict[str, Any]]) -> None:
    pod, main = operator_pod(objects), container(objects)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert main["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    assert [volume["name"] for volume in pod["volumes"] if "emptyDir" in volume] == ["tmp"]
    assert main["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108 - in the container


def test_probes_and_arguments_name_the_same_ports() -> None:
    main = container(template(values_file("renamed")))
    ports = {port["name"]: port["containerPort"] for port in main["ports"]}
    assert ports == {"metrics": 9090, "health": 9091}
    assert {"--metrics-port=9090", "--health-port=9091", "--verbose"} <= set(main["args"])
    assert main["args"][0] == "operator"
    assert main["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "health"}
    assert main["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "health"}


def test_operator_learns_its_name_namespace_and_images(objects: list[dict[str, Any]]) -> None:
    env = environment(objects)
    assert env["POD_NAME"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    assert env["POD_NAMESPACE"] == {"fieldRef": {"fieldPath": "metadata.namespace"}}
    assert env["ASSAY_TRITON_IMAGE"] == "nvcr.io/nvidia/tritonserver:26.09-py3"
    assert env["ASSAY_SCORER_IMAGE"] == container(objects)["image"]


IMAGES = {
    "the tag is the appVersion unless given": ([], "assay:0.1.0"),
    "a tag": (["--set=image.tag=1.2"], "assay:1.2"),
    "a digest wins over the tag": (
        ["--set=image.tag=1.2", f"--set=image.digest=sha256:{'a' * 64}"],
        f"assay@sha256:{'a' * 64}",
    ),
    "the shared registry is put before": (["--set=global.imageRegistry=r.example/x/"], "r.example/x/assay:0.1.0"),
}


@pytest.mark.parametrize(("argv", "image"), IMAGES.values(), ids=IMAGES.keys())
def test_image(argv: list[str], image: str) -> None:
    assert container(template(*argv))["image"] == image


def test_a_scorer_image_of_its_own_leaves_the_operator_alone() -> None:
    rendered = template("--set=scorer.image=other:1")
    assert environment(rendered)["ASSAY_SCORER_IMAGE"] == "other:1"
    assert container(rendered)["image"] == "assay:0.1.0"


def test_user_ids_can_be_left_to_the_platform() -> None:
    assert operator_pod(template(values_file("openshift")))["securityContext"] == {
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def test_production_values_reach_the_pod() -> None:
    rendered = template(values_file("production"))
    pod = operator_pod(rendered)
    assert pod["priorityClassName"] == "system-cluster-critical"
    assert pod["imagePullSecrets"] == [{"name": "pull"}]
    assert pod["topologySpreadConstraints"][0]["topologyKey"] == "topology.kubernetes.io/zone"
    assert pod["tolerations"]
    assert pod["affinity"]
    assert {"--log-level=WARNING", "--cluster-domain=k8s.example"} <= set(container(rendered)["args"])
    metadata = only(rendered, "Deployment")["spec"]["template"]["metadata"]
    assert metadata["labels"]["tier"] == "control"
    assert metadata["labels"]["team"] == "inference"
    assert metadata["annotations"]["example.com/scrape"] == "true"


def test_selector_stays_when_labels_and_version_change() -> None:
    plain, rich = (only(template(*argv), "Deployment")["spec"] for argv in ([], [values_file("production")]))
    assert plain["selector"] == rich["selector"], "a Deployment's selector cannot change on upgrade"
    assert plain["selector"]["matchLabels"].items() <= rich["template"]["metadata"]["labels"].items()


NAMES = {
    "release assay in its namespace": ("assay", [], "assay"),
    "release of another name": ("prod", [], "prod-assay"),
    "release that says assay": ("my-assay", [], "my-assay"),
    "full name given": ("prod", ["--set=fullnameOverride=market"], "market"),
}


@pytest.mark.parametrize(("release", "argv", "name"), NAMES.values(), ids=NAMES.keys())
def test_every_part_agrees_on_the_operators_identity(release: str, argv: list[str], name: str) -> None:
    rendered = template(*argv, release=release, namespace="elsewhere")
    user = f"system:serviceaccount:elsewhere:{name}"
    assert only(rendered, "ServiceAccount")["metadata"]["name"] == name
    assert operator_pod(rendered)["serviceAccountName"] == name
    for kind in ("ClusterRoleBinding", "RoleBinding"):
        assert only(rendered, kind)["subjects"] == [{"kind": "ServiceAccount", "name": name, "namespace": "elsewhere"}]
    policies = [o for o in rendered if o["kind"] == "ValidatingAdmissionPolicy"]
    assert len(policies) == 4
    for policy in policies:
        assert f"'{user}'" in str(policy["spec"]), policy["metadata"]["name"]


def test_every_policy_fails_closed_and_is_bound_to_deny(objects: list[dict[str, Any]]) -> None:
    policies = {o["metadata"]["name"]: o["spec"] for o in objects if o["kind"] == "ValidatingAdmissionPolicy"}
    bindings = {o["spec"]["policyName"]: o["spec"] for o in objects if o["kind"] == "ValidatingAdmissionPolicyBinding"}
    assert policies.keys() == bindings.keys()
    for name, spec in policies.items():
        assert spec["failurePolicy"] == "Fail", name
        assert bindings[name]["validationActions"] == ["Deny"]
        assert "matchResources" not in bindings[name], "a binding must not narrow its policy"


def test_the_envelope_covers_every_child_that_the_operator_may_write(objects: list[dict[str, Any]]) -> None:
    role = only(objects, "ClusterRole", "assay")
    writable = {
        (group, resource)
        for rule in role["rules"]
        if "create" in rule["verbs"] and rule["resources"] != ["events"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    envelope = only(objects, "ValidatingAdmissionPolicy", "assay-envelope")["spec"]["matchConstraints"]
    covered = {
        (group, resource)
        for rule in envelope["resourceRules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    assert covered == writable


def test_switches_leave_out_what_they_say() -> None:
    kinds = {o["kind"] for o in template(values_file("gitops"))}
    assert "CustomResourceDefinition" not in kinds
    assert not {"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "ServiceAccount"} & kinds
    assert "ValidatingAdmissionPolicy" in kinds
    assert "ValidatingAdmissionPolicy" not in {o["kind"] for o in template("--set=admissionPolicies.enabled=false")}


def test_default_roles_are_extended_only_if_wanted() -> None:
    def aggregated(rendered: list[dict[str, Any]]) -> set[str]:
        labels = [label for o in rendered if o["kind"] == "ClusterRole" for label in o["metadata"]["labels"]]
        return {label for label in labels if label.startswith("rbac.authorization.k8s.io/aggregate-to-")}

    everything = {f"rbac.authorization.k8s.io/aggregate-to-{role}" for role in ("view", "edit", "admin")}
    assert aggregated(template()) == everything
    assert aggregated(template(values_file("openshift"))) == set()


def test_crds_are_kept_on_uninstall_unless_told_otherwise(objects: list[dict[str, Any]]) -> None:
    def kept(rendered: list[dict[str, Any]]) -> list[bool]:
        crds = [o["metadata"] for o in rendered if o["kind"] == "CustomResourceDefinition"]
        return [metadata.get("annotations", {}).get(KEEP) == "keep" for metadata in crds]

    assert kept(objects) == [True] * 4
    assert kept(template("--set=crds.keep=false")) == [False] * 4


def test_crd_annotations_reach_every_crd() -> None:
    crds = [o for o in template(values_file("openshift")) if o["kind"] == "CustomResourceDefinition"]
    assert len(crds) == 4
    for crd in crds:
        assert crd["metadata"]["annotations"]["argocd.argoproj.io/sync-options"] == "ServerSideApply=true"
        assert crd["metadata"]["annotations"][KEEP] == "keep"
