"""The admission policies on the real API server: who may do what to our kinds, asked as that user.

Every user of the tables is in a group that RBAC lets do anything with assay's kinds, so a refusal is the policy's. Most
rows are dry runs, which pass admission like any other request and leave nothing behind.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from installed_chart import (
    APPLY,
    GROUP,
    JSON_PATCH,
    MERGE,
    OPERATOR,
    Answer,
    Installation,
    installation,
    model_deployment,
    path_of,
    score_report,
    subnet,
    validator_policy,
    wait_until,
)

__all__ = ["installation"]
pytestmark = pytest.mark.cluster

NS = "admission-a"
OTHER_NS = "admission-b"
SCORER = f"system:serviceaccount:{NS}:val-a-scorer"
ADMIN = "kubernetes-admin"
OWNER = "alice"
GARBAGE_COLLECTOR = "system:serviceaccount:kube-system:generic-garbage-collector"
NAMESPACE_CONTROLLER = "system:serviceaccount:kube-system:namespace-controller"
CONTROLLER_MANAGER = "system:kube-controller-manager"

Change = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class World:
    """The objects the rows are about, as the server stores them."""

    server: Installation
    policy: dict[str, Any]
    rival: dict[str, Any]
    filed: dict[str, Any] = field(default_factory=dict)

    def ask(self, method: str, path: str, body: Any = None, **options: Any) -> Answer:
        return self.server.request(method, path, body, dry_run=True, **options)


@pytest.fixture(scope="module")
def world(installation: Installation) -> World:
    for namespace in (NS, OTHER_NS):
        installation.namespace(namespace)
    own = {"assay.dev/own": "kept", "example.com/own": "kept"}
    marks = {"labels": own, "annotations": own, "finalizers": ["assay.dev/own"]}
    for kind, build in (("subnets", subnet), ("modeldeployments", model_deployment)):
        body = build("market", NS, **marks)
        installation.must("POST", path_of(kind, NS), body, user=OPERATOR)
    policies = path_of("validatorpolicies", NS)
    policy = installation.must("POST", policies, validator_policy("val-a", NS, **marks), user=OPERATOR)
    rival = installation.must("POST", policies, validator_policy("val-b", NS))
    filed = installation.must("POST", path_of("scorereports", NS), score_report(policy, epoch=7), user=SCORER)
    return World(installation, policy, rival, filed)


@pytest.fixture(scope="module", autouse=True)
def nothing_left(world: World) -> Any:
    yield
    drop = [{"op": "remove", "path": "/metadata/finalizers"}]
    for kind, name in (("subnets", "market"), ("modeldeployments", "market"), ("validatorpolicies", "val-a")):
        world.server.request("PATCH", path_of(kind, NS, name), drop, user=OPERATOR, content_type=JSON_PATCH)
    for namespace in (NS, OTHER_NS):
        world.server.request("DELETE", f"/api/v1/namespaces/{namespace}")


def metadata(**values: Any) -> Change:
    return lambda report: report["metadata"].update(values)


def first_owner(**values: Any) -> Change:
    return lambda report: report["metadata"]["ownerReferences"][0].update(values)


def spec(**values: Any) -> Change:
    return lambda report: report["spec"].update(values)


def unchanged(report: dict[str, Any]) -> None:
    """The report as its scorer files it."""


def of_rival(report: dict[str, Any]) -> None:
    """Not as val-a's, but as val-b's report: another validator of the same namespace."""
    report["spec"]["validator"]["name"] = "val-b"
    report["metadata"]["name"] = "val-b-40-0123abcd"


def two_owners(report: dict[str, Any]) -> None:
    report["metadata"]["ownerReferences"].append({"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "y"})


TRUE_LABELS = {"assay.dev/kind": "ValidatorPolicy", "assay.dev/name": "val-a", "assay.dev/epoch": "40", "team": "a"}

ONLY_SCORER = f"only {SCORER} may create it"
NAME = "metadata.name must be val-a-40- and eight hexadecimal digits"
OWNER_REFERENCE = "metadata.ownerReferences must hold ValidatorPolicy val-a"
MARKS = "labels and annotations under assay.dev/ must be left out or say what the spec says"

# sentence: (user, change to the report, refusal or "")
CREATE: dict[str, tuple[str, Change, str]] = {
    "its own scorer files it": (SCORER, unchanged, ""),
    "with labels that say what the spec says": (SCORER, metadata(labels=TRUE_LABELS), ""),
    "with annotations of another prefix": (SCORER, metadata(annotations={"example.com/x": "y"}), ""),
    "not a cluster admin": (ADMIN, unchanged, ONLY_SCORER),
    "not the owner of the namespace": (OWNER, unchanged, ONLY_SCORER),
    "not the operator": (OPERATOR, unchanged, ONLY_SCORER),
    "not the default account of the namespace": (f"system:serviceaccount:{NS}:default", unchanged, ONLY_SCORER),
    "not the account of that name in another namespace": (
        f"system:serviceaccount:{OTHER_NS}:val-a-scorer",
        unchanged,
        ONLY_SCORER,
    ),
    "not another validator's scorer": (f"system:serviceaccount:{NS}:val-b-scorer", unchanged, ONLY_SCORER),
    "not for another validator": (SCORER, of_rival, f"only system:serviceaccount:{NS}:val-b-scorer may create it"),
    "not a user whose name only begins alike": (f"{SCORER}x", unchanged, ONLY_SCORER),
    "not a user whose name only ends alike": (f"x:{SCORER}", unchanged, ONLY_SCORER),
    "not the garbage collector": (GARBAGE_COLLECTOR, unchanged, ONLY_SCORER),
    "not under a name of its own": (SCORER, metadata(name="mine"), NAME),
    "not under another epoch's name": (SCORER, metadata(name="val-a-41-0123abcd"), NAME),
    "not under another validator's name": (SCORER, metadata(name="val-b-40-0123abcd"), NAME),
    "not with seven digits": (SCORER, metadata(name="val-a-40-0123abc"), NAME),
    "not with nine digits": (SCORER, metadata(name="val-a-40-0123abcde"), NAME),
    "not with letters that are no digits": (SCORER, metadata(name="val-a-40-0123abcg"), NAME),
    "not with a name behind the name": (SCORER, metadata(name="val-a-40-0123abcd-0123abcd"), NAME),
    "not with a name before the name": (SCORER, metadata(name="x-val-a-40-0123abcd"), NAME),
    "not with an epoch the name does not say": (SCORER, spec(epoch=4), "metadata.name must be val-a-4- and"),
    "not with a generated name": (SCORER, metadata(name="", generateName="val-a-40-"), NAME),
    "not without an owner": (SCORER, metadata(ownerReferences=[]), OWNER_REFERENCE),
    "not with a second owner": (SCORER, two_owners, OWNER_REFERENCE),
    "not with an owner of another UID": (SCORER, first_owner(uid="00000000-0000"), OWNER_REFERENCE),
    "not with an owner of another name": (SCORER, first_owner(name="val-b"), OWNER_REFERENCE),
    "not with an owner of another kind": (SCORER, first_owner(kind="Subnet"), OWNER_REFERENCE),
    "not with an owner of another group": (SCORER, first_owner(apiVersion="assay.example/v1"), OWNER_REFERENCE),
    "not with an owner that does not control it": (SCORER, first_owner(controller=False), OWNER_REFERENCE),
    "not with a finalizer that nobody could remove": (
        SCORER,
        metadata(finalizers=["example.com/stay"]),
        "metadata.finalizers must be empty",
    ),
    "not with another validator's label": (SCORER, metadata(labels={"assay.dev/name": "val-b"}), MARKS),
    "not with another epoch's label": (SCORER, metadata(labels={"assay.dev/epoch": "41"}), MARKS),
    "not with another kind's label": (SCORER, metadata(labels={"assay.dev/kind": "Subnet"}), MARKS),
    "not with a label it makes up": (SCORER, metadata(labels={"assay.dev/verdict": "good"}), MARKS),
    "not with an annotation of ours": (SCORER, metadata(annotations={"assay.dev/verdict": "good"}), MARKS),
}


@pytest.mark.parametrize(("user", "change", "refusal"), CREATE.values(), ids=CREATE.keys())
def test_create_a_score_report(world: World, user: str, change: Change, refusal: str) -> None:
    report = score_report(world.policy)
    change(report)
    answer = world.ask("POST", path_of("scorereports", NS), report, user=user)
    assert_refused(answer, refusal, 201)


def test_a_scorer_cannot_file_by_apply_what_it_cannot_create(world: World) -> None:
    report = score_report(world.rival)
    path = f"{path_of('scorereports', NS, report['metadata']['name'])}?fieldManager=x"
    answer = world.ask("PATCH", path, report, user=SCORER, content_type=APPLY)
    assert_refused(answer, f"only system:serviceaccount:{NS}:val-b-scorer may create it", 201)
    mine = score_report(world.policy)
    path = f"{path_of('scorereports', NS, mine['metadata']['name'])}?fieldManager=x"
    assert_refused(world.ask("PATCH", path, mine, user=SCORER, content_type=APPLY), "", 201)


ONCE = "a report is written once"
LABEL = {"metadata": {"labels": {"x": "y"}}}
ORPHAN = {"metadata": {"ownerReferences": None}}
WEIGHT = [{"op": "replace", "path": "/spec/scores/0/weight", "value": 1}]
OUR_LABEL = {"metadata": {"labels": {"assay.dev/verdict": "good"}}}

# sentence: (user, content type, patch, refusal or "")
UPDATE: dict[str, tuple[str, str, Any, str]] = {
    "its scorer cannot relabel it": (SCORER, MERGE, LABEL, ONCE),
    "its scorer cannot reweigh it": (SCORER, JSON_PATCH, WEIGHT, "never changes"),
    "its owner cannot disown it": (OWNER, MERGE, ORPHAN, ONCE),
    "an admin cannot relabel it": (ADMIN, MERGE, LABEL, ONCE),
    "an admin cannot reweigh it": (ADMIN, JSON_PATCH, WEIGHT, "never changes"),
    "the operator cannot relabel it": (OPERATOR, MERGE, LABEL, ONCE),
    "the garbage collector disowns it (orphaning)": (GARBAGE_COLLECTOR, MERGE, ORPHAN, ""),
    "the garbage collector marks it (foreground deletion)": (
        GARBAGE_COLLECTOR,
        MERGE,
        {"metadata": {"finalizers": ["foregroundDeletion"]}},
        "",
    ),
    "a controller manager without accounts of its own does the same": (CONTROLLER_MANAGER, MERGE, ORPHAN, ""),
    "the garbage collector cannot reweigh it": (GARBAGE_COLLECTOR, JSON_PATCH, WEIGHT, "never changes"),
    "the garbage collector cannot put our label on it": (GARBAGE_COLLECTOR, MERGE, OUR_LABEL, "under assay.dev/"),
}


@pytest.mark.parametrize(("user", "content_type", "patch", "refusal"), UPDATE.values(), ids=UPDATE.keys())
def test_change_a_filed_report(world: World, user: str, content_type: str, patch: Any, refusal: str) -> None:
    path = path_of("scorereports", NS, world.filed["metadata"]["name"])
    answer = world.ask("PATCH", path, patch, user=user, content_type=content_type)
    assert_refused(answer, refusal, 200)


def test_a_filed_report_cannot_be_replaced_even_by_its_scorer(world: World) -> None:
    body = copy.deepcopy(world.filed)
    body["metadata"]["labels"] = {"x": "y"}
    path = path_of("scorereports", NS, world.filed["metadata"]["name"])
    assert_refused(world.ask("PUT", path, body, user=SCORER), ONCE, 200)


def test_filing_a_second_time_is_refused_as_existing(world: World) -> None:
    again = score_report(world.policy, epoch=7)
    assert world.ask("POST", path_of("scorereports", NS), again, user=SCORER).status == 409


DELETE: dict[str, tuple[str, str]] = {
    "not its scorer": (SCORER, f"deleted by {SCORER}"),
    "not the owner of the namespace": (OWNER, f"deleted by {OWNER}"),
    "not a cluster admin": (ADMIN, f"deleted by {ADMIN}"),
    "not the operator of another namespace": (
        "system:serviceaccount:other:assay",
        "deleted by system:serviceaccount:other:assay",
    ),
    "the operator collects it": (OPERATOR, ""),
    "the garbage collector takes it along": (GARBAGE_COLLECTOR, ""),
    "the namespace controller takes it along": (NAMESPACE_CONTROLLER, ""),
    "a controller manager without accounts of its own does the same": (CONTROLLER_MANAGER, ""),
}


@pytest.mark.parametrize("whole", [False, True], ids=["one report", "the whole collection"])
@pytest.mark.parametrize(("user", "refusal"), DELETE.values(), ids=DELETE.keys())
def test_delete_a_filed_report(world: World, user: str, refusal: str, whole: bool) -> None:
    path = path_of("scorereports", NS, None if whole else world.filed["metadata"]["name"])
    assert_refused(world.ask("DELETE", path, user=user), refusal, 200)


STATUS: dict[str, tuple[str, str]] = {
    "the operator writes it": (OPERATOR, ""),
    "not an admin": (ADMIN, f"status written by {ADMIN}"),
    "not the owner of the object": (OWNER, f"status written by {OWNER}"),
    "not a scorer": (SCORER, f"status written by {SCORER}"),
    "not the garbage collector": (GARBAGE_COLLECTOR, f"status written by {GARBAGE_COLLECTOR}"),
    "not an operator elsewhere": ("system:serviceaccount:other:assay", "only the operator"),
}
OBJECTS = {"subnets": "market", "modeldeployments": "market", "validatorpolicies": "val-a"}


@pytest.mark.parametrize("plural", OBJECTS)
@pytest.mark.parametrize(("user", "refusal"), STATUS.values(), ids=STATUS.keys())
def test_write_status(world: World, plural: str, user: str, refusal: str) -> None:
    path = path_of(plural, NS, OBJECTS[plural], "status")
    patch = {"status": {"observedGeneration": 1}}
    assert_refused(world.ask("PATCH", path, patch, user=user, content_type=MERGE), refusal, 200)
    whole = world.server.must("GET", path)
    whole["status"] = {"observedGeneration": 2}
    assert_refused(world.ask("PUT", path, whole, user=user), refusal, 200)
    applied = {key: whole[key] for key in ("apiVersion", "kind")}
    applied |= {"metadata": {"name": OBJECTS[plural], "namespace": NS}, "status": {"observedGeneration": 3}}
    path = f"{path}?fieldManager=x&force=true"
    assert_refused(world.ask("PATCH", path, applied, user=user, content_type=APPLY), refusal, 200)


@pytest.mark.parametrize("plural", OBJECTS)
def test_status_sent_with_the_object_itself_is_dropped_by_the_server(world: World, plural: str) -> None:
    path = path_of(plural, NS, OBJECTS[plural])
    patch = {"status": {"observedGeneration": 99}}
    answer = world.ask("PATCH", path, patch, user=OWNER, content_type=MERGE)
    assert answer.status == 200
    assert answer.body.get("status", {}).get("observedGeneration") != 99


def test_the_status_of_a_report_is_the_operators(world: World) -> None:
    path = path_of("scorereports", NS, world.filed["metadata"]["name"], "status")
    for user, refusal in ((OPERATOR, ""), (SCORER, f"status written by {SCORER}"), (ADMIN, "only the operator")):
        assert_refused(world.ask("PATCH", path, {"status": {}}, user=user, content_type=MERGE), refusal, 200)


def test_owners_and_autoscalers_scale(world: World) -> None:
    path = path_of("modeldeployments", NS, "market", "scale")
    answer = world.ask("PATCH", path, {"metadata": {"labels": {"x": "y"}}}, user=OWNER, content_type=MERGE)
    assert_refused(answer, "", 200)


def test_status_cannot_be_reached_through_scale(world: World) -> None:
    path = path_of("modeldeployments", NS, "market", "scale")
    patch = {"status": {"replicas": 9}, "metadata": {"annotations": {"assay.dev/own": "changed"}}}
    world.server.request("PATCH", path, patch, user=OWNER, content_type=MERGE)
    after = world.server.must("GET", path_of("modeldeployments", NS, "market"))
    assert after.get("status", {}).get("replicas") != 9
    assert after["metadata"]["annotations"]["assay.dev/own"] == "kept"


def merge_metadata(**values: Any) -> dict[str, Any]:
    return {"metadata": values}


NOT_YOURS = "only the operator changes these"
NOT_YOUR_FINALIZER = "only the operator sets and removes these"

METADATA: dict[str, tuple[str, dict[str, Any], str]] = {
    "an owner labels with another prefix": (OWNER, merge_metadata(labels={"team": "a"}), ""),
    "an owner changes what is not ours": (OWNER, merge_metadata(annotations={"example.com/own": "changed"}), ""),
    "an owner removes what is not ours": (OWNER, merge_metadata(labels={"example.com/own": None}), ""),
    "an owner sends ours back unchanged": (OWNER, merge_metadata(labels={"assay.dev/own": "kept", "a": "b"}), ""),
    "an owner sets another finalizer": (
        OWNER,
        merge_metadata(finalizers=["assay.dev/own", "example.com/other"]),
        "",
    ),
    "a prefix that only begins alike is not ours": (OWNER, merge_metadata(labels={"assay.development/x": "y"}), ""),
    "an owner adds our label": (OWNER, merge_metadata(labels={"assay.dev/new": "x"}), NOT_YOURS),
    "an owner changes our label": (OWNER, merge_metadata(labels={"assay.dev/own": "x"}), NOT_YOURS),
    "an owner removes our label": (OWNER, merge_metadata(labels={"assay.dev/own": None}), NOT_YOURS),
    "an owner removes all labels": (OWNER, merge_metadata(labels=None), NOT_YOURS),
    "an owner adds our annotation": (OWNER, merge_metadata(annotations={"assay.dev/new": "x"}), NOT_YOURS),
    "an owner changes our annotation": (OWNER, merge_metadata(annotations={"assay.dev/own": "x"}), NOT_YOURS),
    "an owner removes our annotation": (OWNER, merge_metadata(annotations={"assay.dev/own": None}), NOT_YOURS),
    "an owner sets our finalizer": (
        OWNER,
        merge_metadata(finalizers=["assay.dev/own", "assay.dev/new"]),
        NOT_YOUR_FINALIZER,
    ),
    "an owner removes our finalizer": (OWNER, merge_metadata(finalizers=[]), NOT_YOUR_FINALIZER),
    "an admin adds our annotation": (ADMIN, merge_metadata(annotations={"assay.dev/new": "x"}), NOT_YOURS),
    "the garbage collector removes our finalizer": (
        GARBAGE_COLLECTOR,
        merge_metadata(finalizers=[]),
        NOT_YOUR_FINALIZER,
    ),
    "the garbage collector sets its own": (
        GARBAGE_COLLECTOR,
        merge_metadata(finalizers=["assay.dev/own", "foregroundDeletion"]),
        "",
    ),
    "the operator changes ours": (OPERATOR, merge_metadata(annotations={"assay.dev/own": "x"}), ""),
    "the operator removes our finalizer": (OPERATOR, merge_metadata(finalizers=[]), ""),
}


@pytest.mark.parametrize("plural", OBJECTS)
@pytest.mark.parametrize(("user", "patch", "refusal"), METADATA.values(), ids=METADATA.keys())
def test_change_metadata(world: World, plural: str, user: str, patch: dict[str, Any], refusal: str) -> None:
    path = path_of(plural, NS, OBJECTS[plural])
    assert_refused(world.ask("PATCH", path, patch, user=user, content_type=MERGE), refusal, 200)


FORGED: dict[str, dict[str, Any]] = {
    "our label": {"labels": {"assay.dev/x": "y"}},
    "our annotation": {"annotations": {"assay.dev/x": "y"}},
    "our finalizer": {"finalizers": ["assay.dev/x"]},
}
BUILDERS = {"subnets": subnet, "modeldeployments": model_deployment, "validatorpolicies": validator_policy}


@pytest.mark.parametrize("plural", BUILDERS)
@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED.keys())
def test_nobody_but_the_operator_creates_an_object_with_our_marks(
    world: World, plural: str, forged: dict[str, Any]
) -> None:
    path, body = path_of(plural, NS), BUILDERS[plural]("fresh", NS, **forged)
    assert_refused(world.ask("POST", path, body, user=OWNER), "under assay.dev/ changed by alice", 201)
    assert_refused(world.ask("POST", path, BUILDERS[plural]("fresh", NS), user=OWNER), "", 201)
    assert_refused(world.ask("POST", path, body, user=OPERATOR), "", 201)


def test_metadata_sent_with_status_is_not_a_way_round(world: World) -> None:
    path = path_of("subnets", NS, "market", "status")
    patch = {"metadata": {"annotations": {"assay.dev/own": "changed"}}}
    assert world.ask("PATCH", path, patch, user=OWNER, content_type=MERGE).status == 403


MANAGED = {"app.kubernetes.io/managed-by": "assay"}
CHILDREN = {
    "configmaps": ("v1", "ConfigMap", {"data": {"key": "value"}}),
    "serviceaccounts": ("v1", "ServiceAccount", {}),
    "services": ("v1", "Service", {"spec": {"ports": [{"port": 8001}]}}),
    "deployments": (
        "apps/v1",
        "Deployment",
        {
            "spec": {
                "selector": {"matchLabels": {"a": "b"}},
                "template": {
                    "metadata": {"labels": {"a": "b"}},
                    "spec": {"containers": [{"name": "triton", "image": "x"}]},
                },
            }
        },
    ),
    "jobs": (
        "batch/v1",
        "Job",
        {
            "spec": {
                "suspend": True,
                "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "scorer", "image": "x"}]}},
            }
        },
    ),
    "rolebindings": (
        "rbac.authorization.k8s.io/v1",
        "RoleBinding",
        {
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "assay-scorer"},
            "subjects": [{"kind": "ServiceAccount", "name": "val-a-scorer", "namespace": NS}],
        },
    ),
}


def child(world: World, plural: str, name: str, *, labelled: bool = True, owned: bool = True) -> dict[str, Any]:
    api_version, kind, rest = CHILDREN[plural]
    owners = score_report(world.policy)["metadata"]["ownerReferences"]
    marks = {"labels": MANAGED if labelled else {}, "ownerReferences": owners if owned else []}
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": NS, **marks}, **rest}


def child_path(plural: str, name: str | None = None) -> str:
    api_version = CHILDREN[plural][0]
    root = f"/api/{api_version}" if "/" not in api_version else f"/apis/{api_version}"
    return "/".join(part for part in (f"{root}/namespaces/{NS}/{plural}", name) if part)


@pytest.fixture(scope="module", params=CHILDREN)
def plural(request: pytest.FixtureRequest, world: World) -> str:
    """One kind of child, of which there are four: with the operator's two marks, with none, and with either."""
    kind = str(request.param)
    children = (("ours", True, True), ("theirs", False, False), ("unlabelled", False, True), ("disowned", True, False))
    for name, labelled, owned in children:
        world.server.must("POST", child_path(kind), child(world, kind, name, labelled=labelled, owned=owned))
    return kind


WRITES_ONLY = "the operator writes only what it labels"
NOT_OURS = "exists and is not the operator's"
RELABEL = {"metadata": {"labels": {"x": "y"}}}


def test_the_operator_makes_what_it_marks_and_nothing_else(world: World, plural: str) -> None:
    for labelled, owned, refusal in (
        (True, True, ""),
        (False, True, WRITES_ONLY),
        (True, False, WRITES_ONLY),
        (False, False, WRITES_ONLY),
    ):
        body = child(world, plural, "fresh", labelled=labelled, owned=owned)
        assert_refused(world.ask("POST", child_path(plural), body, user=OPERATOR), refusal, 201)
        path = f"{child_path(plural, 'fresh')}?fieldManager=assay&force=true"
        assert_refused(world.ask("PATCH", path, body, user=OPERATOR, content_type=APPLY), refusal, 201)


def test_the_operator_takes_over_and_deletes_nothing_of_a_tenants(world: World, plural: str) -> None:
    theirs = child_path(plural, "theirs")
    takeover = child(world, plural, "theirs")
    path = f"{theirs}?fieldManager=assay&force=true"
    assert_refused(world.ask("PATCH", path, takeover, user=OPERATOR, content_type=APPLY), NOT_OURS, 200)
    assert_refused(world.ask("DELETE", theirs, user=OPERATOR), NOT_OURS, 200)
    assert_refused(
        world.ask("PATCH", theirs, RELABEL, user=OWNER, groups=("system:masters",), content_type=MERGE), "", 200
    )


def test_the_operator_keeps_and_mends_its_own(world: World, plural: str) -> None:
    for name in ("ours", "unlabelled", "disowned"):
        path = f"{child_path(plural, name)}?fieldManager=assay&force=true"
        body = child(world, plural, name)
        assert_refused(world.ask("PATCH", path, body, user=OPERATOR, content_type=APPLY), "", 200)
        deleted = world.ask("DELETE", child_path(plural, name), user=OPERATOR)
        assert deleted.status in (200, 202), deleted.message


def test_many_annotations_stay_within_the_cost_limit(world: World) -> None:
    crowd = {f"example.com/annotation-{number}": "x" for number in range(5000)}
    answer = world.ask("POST", path_of("subnets", NS), subnet("crowd", NS, annotations=crowd), user=OWNER)
    assert_refused(answer, "", 201)


def test_cluster_admins_by_certificate_are_bound_too(world: World) -> None:
    report = score_report(world.policy)
    answer = world.ask("POST", path_of("scorereports", NS), report)
    assert_refused(answer, ONLY_SCORER, 201)


def test_a_real_token_files_its_own_report_and_no_other(world: World) -> None:
    for name in ("val-a-scorer", "val-b-scorer"):
        account = {"metadata": {"name": name}}
        world.server.request("POST", f"/api/v1/namespaces/{NS}/serviceaccounts", account)
        binding = {
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "assay-scorer"},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": NS}],
        }
        world.server.request("POST", f"/apis/rbac.authorization.k8s.io/v1/namespaces/{NS}/rolebindings", binding)
    reports = path_of("scorereports", NS)
    rivals = world.server.token(NS, "val-b-scorer")
    mine = world.server.token(NS, "val-a-scorer")
    report = score_report(world.policy, epoch=41)
    wait_until(
        lambda: ONLY_SCORER in world.server.request("POST", reports, report, token=rivals).message,
        "the rival's token passes RBAC and is refused by the policy",
    )
    wait_until(lambda: world.server.request("POST", reports, report, token=mine).status == 201, "the report is filed")
    path = path_of("scorereports", NS, report["metadata"]["name"])
    for method in ("GET", "DELETE", "PUT"):
        assert world.server.request(method, path, report, token=mine).status == 403, method


def file_report(world: World, policy_name: str) -> tuple[str, str]:
    """A policy with one report in it; returns their paths."""
    policies = path_of("validatorpolicies", NS)
    policy = world.server.must("POST", policies, validator_policy(policy_name, NS))
    report = score_report(policy)
    user = f"system:serviceaccount:{NS}:{policy_name}-scorer"
    world.server.must("POST", path_of("scorereports", NS), report, user=user)
    return f"{policies}/{policy_name}", path_of("scorereports", NS, report["metadata"]["name"])


@pytest.mark.parametrize("propagation", ["Background", "Foreground"])
def test_deleting_a_policy_takes_its_reports_along(world: World, propagation: str) -> None:
    policy, report = file_report(world, f"gone-{propagation.lower()}")
    world.server.must("DELETE", policy, {"propagationPolicy": propagation})
    for path in (policy, report):
        wait_until(lambda path=path: world.server.request("GET", path).status == 404, f"{path} is gone")


def test_orphaned_reports_stay_and_lose_their_owner(world: World) -> None:
    policy, report = file_report(world, "orphaning")
    world.server.must("DELETE", policy, {"propagationPolicy": "Orphan"})
    wait_until(lambda: world.server.request("GET", policy).status == 404, "the policy is gone")
    assert "ownerReferences" not in world.server.must("GET", report)["metadata"]


def test_a_report_whose_owner_does_not_exist_is_collected(world: World) -> None:
    policy = copy.deepcopy(world.policy)
    policy["metadata"] |= {"name": "never", "uid": "11111111-2222-4333-8444-555555555555"}
    report = score_report(policy)
    user = f"system:serviceaccount:{NS}:never-scorer"
    world.server.must("POST", path_of("scorereports", NS), report, user=user)
    path = path_of("scorereports", NS, report["metadata"]["name"])
    wait_until(lambda: world.server.request("GET", path).status == 404, "the report is collected")


def test_deleting_a_namespace_takes_its_reports_along(world: World) -> None:
    name = "admission-gone"
    world.server.namespace(name)
    policy = world.server.must("POST", path_of("validatorpolicies", name), validator_policy("val", name))
    user = f"system:serviceaccount:{name}:val-scorer"
    world.server.must("POST", path_of("scorereports", name), score_report(policy), user=user)
    world.server.must("DELETE", f"/api/v1/namespaces/{name}")
    wait_until(
        lambda: world.server.request("GET", f"/api/v1/namespaces/{name}").status == 404, "the namespace is gone", 60
    )


def test_the_server_finds_no_type_error_in_any_policy(world: World) -> None:
    policies = world.server.must("GET", "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies")["items"]
    warnings = {
        item["metadata"]["name"]: item.get("status", {}).get("typeChecking", {}).get("expressionWarnings", [])
        for item in policies
    }
    assert set(warnings) >= {f"assay-{name}" for name in ("scorereports", "status", "metadata", "envelope")}
    assert not any(warnings.values()), warnings


def test_the_tests_group_is_what_lets_users_reach_admission(world: World) -> None:
    answer = world.ask("POST", path_of("subnets", NS), subnet("fresh", NS), user=OWNER, groups=("nobody",))
    assert answer.status == 403
    assert f"ClusterRole {GROUP}" not in answer.message


def assert_refused(answer: Answer, refusal: str, success: int) -> None:
    """Refused with that text in the message, or, where it is empty, not refused."""
    if refusal:
        assert answer.status in (403, 422), f"{answer.status}: expected a refusal with {refusal!r}"
        assert refusal in answer.message
    else:
        assert answer.status == success, answer.message
