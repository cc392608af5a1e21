"""The roles on the real API server: what the operator, a scorer and people may do, and what they must not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from installed_chart import (
    APPLY,
    MERGE,
    NAMESPACE,
    OPERATOR,
    RELEASE,
    Installation,
    installation,
    path_of,
    score_report,
    subnet,
    validator_policy,
    wait_until,
)
from rights import Right, granted, refused, used

__all__ = ["installation"]
pytestmark = pytest.mark.cluster

NS = "rbac-tenant"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
SCORER = f"system:serviceaccount:{NS}:val-scorer"


@pytest.fixture(scope="module")
def server(installation: Installation) -> Iterator[Installation]:
    installation.namespace(NS)
    yield installation
    installation.request("DELETE", f"/api/v1/namespaces/{NS}")


def may(server: Installation, user: str, right: Right, *, namespace: str = "", name: str = "") -> bool:
    """The authoriser's own answer."""
    resource, _, subresource = right.resource.partition("/")
    attributes = {"group": right.group, "resource": resource, "subresource": subresource, "verb": right.verb}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": user, "resourceAttributes": {**attributes, "namespace": namespace, "name": name}},
    }
    answer = server.must("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
    return bool(answer["status"]["allowed"])


OURS = ("subnets", "modeldeployments", "validatorpolicies", "scorereports")
READ = ("get", "list", "watch")
WATCH = ("list", "watch")
WRITTEN = {
    ("", "configmaps"): ("create", "delete"),
    ("batch", "jobs"): ("create", "delete"),
    ("", "services"): ("create", "patch", "delete"),
    ("", "serviceaccounts"): ("create", "patch", "delete"),
    ("apps", "deployments"): ("create", "patch", "delete"),
    ("rbac.authorization.k8s.io", "rolebindings"): ("create", "patch"),
}
ALLOWED = [
    *(Right("assay.dev", kind, verb) for kind in OURS for verb in WATCH),
    *(Right("assay.dev", f"{kind}/status", "patch") for kind in OURS[:3]),
    *(Right("assay.dev", f"{kind}/finalizers", "update") for kind in OURS[:3]),
    Right("assay.dev", "scorereports", "delete"),
    *(Right(group, kind, verb) for (group, kind), verbs in WRITTEN.items() for verb in (*WATCH, *verbs)),
    *(Right("", kind, verb) for kind in ("pods", "namespaces") for verb in WATCH),
    *(Right("discovery.k8s.io", "endpointslices", verb) for verb in WATCH),
    *(Right("events.k8s.io", "events", verb) for verb in ("create", "patch")),
]


@pytest.mark.parametrize("right", ALLOWED, ids=str)
def test_the_operator_may_in_every_namespace(server: Installation, right: Right) -> None:
    assert may(server, OPERATOR, right, namespace=NS)


# Each would let whoever holds the operator's token take more than assay: other identities, other workloads, other data.
FORBIDDEN = [
    *(Right("assay.dev", kind, verb) for kind in OURS[:3] for verb in ("create", "update", "patch", "delete")),
    *(Right("assay.dev", "scorereports", verb) for verb in ("create", "update", "patch", "deletecollection")),
    *(Right("assay.dev", f"{kind}/status", "update") for kind in OURS[:3]),
    *(Right("", "secrets", verb) for verb in (*READ, "create", "update", "patch", "delete")),
    *(Right("", "pods", verb) for verb in ("create", "update", "patch", "delete")),
    *(Right("", f"pods/{name}", "create") for name in ("exec", "attach", "portforward", "eviction")),
    Right("", "pods/log", "get"),
    Right("", "pods/ephemeralcontainers", "patch"),
    Right("", "serviceaccounts/token", "create"),
    *(Right("", "nodes", verb) for verb in ("get", "list", "patch")),
    Right("", "nodes/proxy", "get"),
    *(Right("", kind, "impersonate") for kind in ("users", "groups", "serviceaccounts")),
    *(Right("", "namespaces", verb) for verb in ("create", "patch", "delete")),
    *(Right("", "persistentvolumes", verb) for verb in ("get", "create")),
    *(Right("rbac.authorization.k8s.io", "rolebindings", verb) for verb in ("update", "delete", "deletecollection")),
    *(Right(group, kind, "deletecollection") for group, kind in WRITTEN),
    *(Right("", "configmaps", verb) for verb in ("update", "patch")),
    *(
        Right("rbac.authorization.k8s.io", kind, verb)
        for kind in ("roles", "clusterroles", "clusterrolebindings")
        for verb in ("create", "update", "patch", "bind", "escalate")
    ),
    *(
        Right("admissionregistration.k8s.io", kind, verb)
        for kind in (
            "validatingadmissionpolicies",
            "validatingadmissionpolicybindings",
            "validatingwebhookconfigurations",
            "mutatingwebhookconfigurations",
        )
        for verb in ("create", "patch", "delete")
    ),
    Right("apiextensions.k8s.io", "customresourcedefinitions", "patch"),
    Right("certificates.k8s.io", "certificatesigningrequests", "create"),
    *(Right("coordination.k8s.io", "leases", verb) for verb in ("get", "create", "update")),
    *(Right("apps", kind, "create") for kind in ("daemonsets", "statefulsets", "replicasets")),
]


@pytest.mark.parametrize("right", FORBIDDEN, ids=str)
def test_the_operator_must_not_in_a_tenants_namespace(server: Installation, right: Right) -> None:
    assert not may(server, OPERATOR, right, namespace=NS)


HOME = {
    "reads its Lease": ("coordination.k8s.io", "leases", "get", "assay-operator", True),
    "renews its Lease": ("coordination.k8s.io", "leases", "update", "assay-operator", True),
    "makes its Lease anew": ("coordination.k8s.io", "leases", "create", "", True),
    "not another Lease": ("coordination.k8s.io", "leases", "update", "other", False),
    "deletes no Lease": ("coordination.k8s.io", "leases", "delete", "assay-operator", False),
    "reads its seed": ("", "secrets", "get", "assay-challenge-seed", True),
    "makes its seed": ("", "secrets", "create", "", True),
    "not another Secret": ("", "secrets", "get", "other", False),
    "lists no Secrets": ("", "secrets", "list", "", False),
    "does not change its seed": ("", "secrets", "patch", "assay-challenge-seed", False),
}


@pytest.mark.parametrize(("group", "resource", "verb", "name", "allowed"), HOME.values(), ids=HOME.keys())
def test_the_operator_at_home(
    server: Installation, group: str, resource: str, verb: str, name: str, allowed: bool
) -> None:
    assert may(server, OPERATOR, Right(group, resource, verb), namespace=NAMESPACE, name=name) is allowed


def rules(server: Installation, kind: str, name: str) -> list[dict[str, Any]]:
    namespace = f"/namespaces/{NAMESPACE}" if kind == "roles" else ""
    return list(server.must("GET", f"{RBAC}{namespace}/{kind}/{name}")["rules"])


def test_the_tables_above_are_the_whole_cluster_role(server: Installation) -> None:
    bind = Right("rbac.authorization.k8s.io", "clusterroles", "bind")
    assert granted(rules(server, "clusterroles", RELEASE)) == {*ALLOWED, bind}


def test_no_role_of_the_chart_holds_a_wildcard_or_a_way_up(server: Installation) -> None:
    roles = [item for item in server.must("GET", f"{RBAC}/clusterroles")["items"] if is_ours(item)]
    roles += server.must("GET", f"{RBAC}/namespaces/{NAMESPACE}/roles")["items"]
    assert {role["metadata"]["name"] for role in roles} == {"assay", "assay-scorer", "assay-view", "assay-edit"}
    for role in roles:
        for right in granted(role["rules"]):
            assert "*" not in right, role["metadata"]["name"]
            assert right.verb not in ("escalate", "impersonate"), role["metadata"]["name"]


def is_ours(item: dict[str, Any]) -> bool:
    return item["metadata"].get("labels", {}).get("app.kubernetes.io/part-of") == "assay"


def binding(name: str, role: str) -> dict[str, Any]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": name, "namespace": NS},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": "val-scorer", "namespace": NS}],
    }


@pytest.fixture(scope="module")
def operator_token(server: Installation) -> str:
    return server.token(NAMESPACE, RELEASE)


@pytest.mark.parametrize(
    ("role", "status"),
    [("assay-scorer", 201), ("assay-edit", 403), ("assay-view", 403), ("edit", 403), ("cluster-admin", 403)],
)
def test_the_operator_gives_the_scorers_role_and_no_other(
    server: Installation, operator_token: str, role: str, status: int
) -> None:
    bindings = f"{RBAC}/namespaces/{NS}/rolebindings"
    body = binding(f"to-{role}", role)
    owner = {
        "apiVersion": "assay.dev/v1alpha1",
        "kind": "ValidatorPolicy",
        "name": "val",
        "uid": "u",
        "controller": True,
    }
    body["metadata"] |= {"labels": {"app.kubernetes.io/managed-by": "assay"}, "ownerReferences": [owner]}
    answer = server.request("POST", bindings, body, token=operator_token, dry_run=True)
    assert answer.status == status, answer.message
    path = f"{bindings}/to-{role}?fieldManager=assay&force=true"
    applied = server.request("PATCH", path, body, token=operator_token, content_type=APPLY, dry_run=True)
    assert applied.status == status, applied.message


def test_the_operators_token_writes_status_and_nothing_else_of_a_subnet(
    server: Installation, operator_token: str
) -> None:
    server.must("POST", path_of("subnets", NS), subnet("market", NS))
    status = {"status": {"observedGeneration": 1}}
    path = path_of("subnets", NS, "market")
    answer = server.request("PATCH", f"{path}/status", status, token=operator_token, content_type=MERGE)
    assert answer.status == 200, answer.message
    spec = {"spec": {"suspend": True}}
    assert server.request("PATCH", path, spec, token=operator_token, content_type=MERGE).status == 403
    assert server.request("DELETE", path, token=operator_token).status == 403


def test_a_scorers_only_right_is_to_create_reports(server: Installation) -> None:
    server.must("POST", f"/api/v1/namespaces/{NS}/serviceaccounts", {"metadata": {"name": "val-scorer"}})
    server.must("POST", f"{RBAC}/namespaces/{NS}/rolebindings", binding("val-scorer", "assay-scorer"))
    token, bare = server.token(NS, "val-scorer"), server.token(NS, "default")
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": NS},
    }

    def rights(token: str) -> set[Right]:
        path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
        return granted(server.must("POST", path, review, token=token)["status"]["resourceRules"])

    expected = {Right("assay.dev", "scorereports", "create")}
    wait_until(lambda: rights(token) - rights(bare) == expected, f"the scorer has {expected} over any account")
    policy = server.must("POST", path_of("validatorpolicies", NS), validator_policy("val", NS))
    reports = path_of("scorereports", NS)
    assert server.request("POST", reports, score_report(policy), token=token).status == 201
    assert server.request("GET", reports, token=token).status == 403
    elsewhere = path_of("scorereports", "default")
    assert server.request("POST", elsewhere, score_report(policy), token=token).status == 403


PEOPLE = {
    "a viewer looks": ("view", ("subnets", "scorereports", "subnets/status"), ("get",), True),
    "a viewer changes nothing": ("view", ("subnets", "modeldeployments"), ("create", "update", "delete"), False),
    "an editor owns subnets, miners and validators": (
        "edit",
        ("subnets", "modeldeployments", "validatorpolicies"),
        (*READ, "create", "update", "patch", "delete", "deletecollection"),
        True,
    ),
    "an editor scales miners": ("edit", ("modeldeployments/scale",), ("get", "update", "patch"), True),
    "an editor reads reports": ("edit", ("scorereports",), READ, True),
    "an editor writes no report": ("edit", ("scorereports",), ("create", "update", "patch", "delete"), False),
    "an editor writes no status": ("edit", ("subnets/status", "modeldeployments/status"), ("update", "patch"), False),
    "an admin of a namespace writes no report": ("admin", ("scorereports",), ("create", "update", "delete"), False),
    "an admin of a namespace owns what an editor owns": ("admin", ("subnets",), ("create", "delete"), True),
}


@pytest.mark.parametrize(("role", "resources", "verbs", "allowed"), PEOPLE.values(), ids=PEOPLE.keys())
def test_the_clusters_default_roles_include_our_kinds(
    server: Installation, role: str, resources: tuple[str, ...], verbs: tuple[str, ...], allowed: bool
) -> None:
    person = {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": f"person-{role}"}
    body = {**binding(f"person-{role}", role), "subjects": [person]}
    server.request("POST", f"{RBAC}/namespaces/{NS}/rolebindings", body)
    expected = {Right("assay.dev", resource, verb): allowed for resource in resources for verb in verbs}
    wait_until(
        lambda: {right: may(server, f"person-{role}", right, namespace=NS) for right in expected} == expected,
        f"{role}: {'may' if allowed else 'may not'} {', '.join(map(str, expected))}",
    )


def test_the_audit_log_shows_what_was_used_and_what_was_refused(server: Installation, operator_token: str) -> None:
    if not server.cluster.owned:
        pytest.skip("the audit log of a cluster of the user's own is not ours to read")
    server.must("GET", path_of("subnets", NS), token=operator_token)
    assert server.request("GET", f"/api/v1/namespaces/{NS}/secrets", token=operator_token).status == 403
    log = server.cluster.audit_log_path
    wait_until(lambda: Right("", "secrets", "list") in refused(log, OPERATOR), "the refusal is logged")
    assert Right("assay.dev", "subnets", "list") in used(log, OPERATOR)
    assert Right("assay.dev", "subnets", "list") not in refused(log, OPERATOR)
