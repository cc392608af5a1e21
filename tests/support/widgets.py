"""A small kind of the tests' own, with a status subresource, for what concerns every kind."""

from assay.kube.client import KubeClient
from assay.kube.resources import CUSTOM_RESOURCE_DEFINITIONS, Object, Resource

GROUP = "test.assay.dev"
VERSION = "v1"
WIDGETS = Resource(GROUP, VERSION, "widgets", "Widget")
GADGETS = Resource(GROUP, VERSION, "gadgets", "Gadget")


def widget(namespace: str, name: str, *, kind: str = "Widget", **spec: object) -> Object:
    """A widget, or a gadget, with this spec."""
    metadata = {"namespace": namespace, "name": name}
    return {"apiVersion": WIDGETS.api_version, "kind": kind, "metadata": metadata, "spec": spec}


def definition(resource: Resource) -> Object:
    """The CRD: `spec.size` is a number from 0 to 10, everything else is kept as it is."""
    any_object = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    size = {"type": "integer", "minimum": 0, "maximum": 10}
    spec = {**any_object, "properties": {"size": size}}
    schema = {"type": "object", "properties": {"spec": spec, "status": any_object}}
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}},
    }
    return {
        "apiVersion": CUSTOM_RESOURCE_DEFINITIONS.api_version,
        "kind": CUSTOM_RESOURCE_DEFINITIONS.kind,
        "metadata": {"name": f"{resource.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"plural": resource.plural, "singular": resource.kind.lower(), "kind": resource.kind},
            "versions": [version],
        },
    }


async def install(client: KubeClient) -> None:
    """Create the kinds if they are not there, and wait until they are served."""
    for resource in (WIDGETS, GADGETS):
        await client.apply(definition(resource), field_manager="tests")
    for resource in (WIDGETS, GADGETS):
        await _served(client, resource)


async def _served(client: KubeClient, resource: Resource) -> None:
    import waiting
    from assay.kube import errors

    async def lists() -> bool:
        try:
            await client.list(resource)
        except errors.NotFound:
            return False
        return True

    await waiting.until_async(lists, 15, f"{resource} served")
