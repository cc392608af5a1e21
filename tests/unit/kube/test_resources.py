"""Names and paths."""

import pytest

from assay.kube.resources import BUILT_IN, DEPLOYMENTS, NODES, PODS, ObjectRef, Resource, key_of

SUBNETS = Resource("assay.dev", "v1alpha1", "subnets", "Subnet")


@pytest.mark.parametrize(
    ("resource", "namespace", "name", "subresource", "expected"),
    [
        (PODS, None, None, None, "/api/v1/pods"),
        (PODS, "demo", None, None, "/api/v1/namespaces/demo/pods"),
        (PODS, "demo", "a", "status", "/api/v1/namespaces/demo/pods/a/status"),
        (NODES, None, "n", None, "/api/v1/nodes/n"),
        (NODES, "ignored", "n", None, "/api/v1/nodes/n"),
        (DEPLOYMENTS, "demo", "a", "scale", "/apis/apps/v1/namespaces/demo/deployments/a/scale"),
        (SUBNETS, "demo", "a", None, "/apis/assay.dev/v1alpha1/namespaces/demo/subnets/a"),
        (PODS, "../x", "a/b?c", None, "/api/v1/namespaces/..%2Fx/pods/a%2Fb%3Fc"),
    ],
)
def test_paths(
    resource: Resource, namespace: str | None, name: str | None, subresource: str | None, expected: str
) -> None:
    assert resource.path(namespace, name, subresource) == expected


def test_api_versions_and_names() -> None:
    assert (PODS.api_version, SUBNETS.api_version) == ("v1", "assay.dev/v1alpha1")
    assert (str(PODS), str(SUBNETS)) == ("pods", "subnets.assay.dev")


def test_a_reference_names_its_object() -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "demo", "name": "a", "uid": "u"}}
    ref = ObjectRef.of(pod)
    assert ref == ObjectRef("v1", "Pod", "demo", "a", "u")
    assert (str(ref), ref.key, key_of(pod)) == ("Pod demo/a", ("demo", "a"), ("demo", "a"))
    node = ObjectRef.of({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}})
    assert (str(node), node.key, node.uid) == ("Node n", ("", "n"), None)


def test_no_kind_is_listed_twice() -> None:
    assert len({(r.api_version, r.kind) for r in BUILT_IN}) == len(BUILT_IN)
