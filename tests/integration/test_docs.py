"""The real API server takes every manifest in the documents, with no field that it does not know."""

from typing import Any

import pytest
from kubernetes import client

from assay.api import GROUP, KINDS, VERSION
from documents import our_manifests

pytestmark = pytest.mark.cluster

PLURALS = {kind.DEFINITION.kind: kind.DEFINITION.plural for kind in KINDS}


@pytest.mark.parametrize("document", [pytest.param(document, id=identity) for identity, document in our_manifests()])
def test_a_manifest_is_taken_as_it_is_written(
    document: dict[str, Any], custom_objects: client.CustomObjectsApi
) -> None:
    # The namespaces of the documents are not there: what is looked at is the object.
    body = {**document, "metadata": {**document["metadata"], "namespace": "default"}}
    stored = custom_objects.create_namespaced_custom_object(
        GROUP, VERSION, "default", PLURALS[document["kind"]], body, dry_run="All", field_validation="Strict"
    )
    assert stored["metadata"]["name"] == document["metadata"]["name"]
