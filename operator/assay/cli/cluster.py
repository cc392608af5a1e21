"""The way from the command line to a cluster: options, credentials, and the objects of one subnet.

Only reads. Whoever may not list across namespaces still sees what his own namespaces show; the rest is told.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from assay.cli.output import NO_ANSWER, refuse

if TYPE_CHECKING:
    from assay.api import NamespacedName
    from assay.inspection.market import Market
    from assay.kube.client import KubeClient, Objects, Resource

T = TypeVar("T")

SubnetArgument = Annotated[str, typer.Argument(metavar="NAMESPACE/SUBNET", help="The Subnet.", show_default=False)]
KubeconfigOption = Annotated[
    Path | None,
    typer.Option(
        "--kubeconfig",
        help="Kubeconfig; by default a pod's service account, else KUBECONFIG or ~/.kube/config.",
        show_default=False,
    ),
]
ContextOption = Annotated[str | None, typer.Option(help="Context in the kubeconfig.", show_default=False)]

_READS = 3
_TIMEOUT_S = 15.0


def ask(question: "Callable[[KubeClient], Coroutine[Any, Any, T]]", kubeconfig: Path | None, context: str | None) -> T:
    """Run a question against the cluster; what goes wrong ends the command with a line on standard error."""
    from assay.api import InvalidObject
    from assay.inspection.market import NotFoundIn
    from assay.kube.auth import CredentialsError
    from assay.kube.errors import KubeError

    try:
        return asyncio.run(_ask(question, kubeconfig, context))
    except (CredentialsError, KubeError, NotFoundIn) as error:
        refuse(str(error), NO_ANSWER)
    except InvalidObject as error:
        refuse(str(error))


def named(subnet: str) -> "NamespacedName":
    """The argument NAMESPACE/SUBNET, taken apart."""
    from assay.api import NamespacedName

    namespace, slash, name = subnet.partition("/")
    if not (namespace and slash and name) or "/" in name:
        refuse(f"{subnet}: write NAMESPACE/SUBNET, for example demo/embeddings")
    return NamespacedName(namespace, name)


async def read_market(client: "KubeClient", where: "NamespacedName", *, bonds: bool = True) -> "Market":
    """Everything about one subnet, read again if an epoch was committed meanwhile. Raises KubeError."""
    from assay.kube.resources import Resource

    resource = Resource("assay.dev", "v1alpha1", "subnets", "Subnet")
    subnet = await client.get(resource, where.namespace, where.name)
    for _ in range(_READS):
        market = await _beside(client, subnet, bonds)
        again = await client.get(resource, where.namespace, where.name)
        if _committed(again) == _committed(subnet):
            break
        subnet = again
    return market


async def _ask(question: "Callable[[KubeClient], Awaitable[T]]", kubeconfig: Path | None, context: str | None) -> T:
    from assay.kube.auth import load
    from assay.kube.client import KubeClient

    configuration = await load(kubeconfig, context)
    async with KubeClient(configuration, user_agent="assay-cli", request_timeout_s=_TIMEOUT_S) as client:
        return await question(client)


async def _beside(client: "KubeClient", subnet: dict[str, Any], bonds: bool) -> "Market":
    """The objects that a subnet's last epochs were made of."""
    from dataclasses import replace

    from assay.inspection.market import market_of
    from assay.kube.resources import CONFIG_MAPS, Resource

    status, metadata = subnet.get("status") or {}, subnet["metadata"]
    miners = {row["namespace"] for row in status.get("miners") or ()}
    validators = {row["namespace"] for row in status.get("validators") or ()}
    selector = f"app.kubernetes.io/name=bonds,assay.dev/name={metadata['name']}"
    deployments, policies, reports = (
        Resource("assay.dev", "v1alpha1", plural, kind)
        for plural, kind in (
            ("modeldeployments", "ModelDeployment"),
            ("validatorpolicies", "ValidatorPolicy"),
            ("scorereports", "ScoreReport"),
        )
    )
    told: list[str] = []
    found = await asyncio.gather(
        _everywhere(client, deployments, miners, told),
        _everywhere(client, policies, validators, told),
        _everywhere(client, reports, validators, told),
        _in(client, CONFIG_MAPS, metadata["namespace"], told, selector) if bonds else _nothing(),
    )
    market = market_of(subnet, deployments=found[0], policies=found[1], reports=found[2], config_maps=found[3])
    return replace(market, unreadable=(*market.unreadable, *told))


async def _everywhere(client: "KubeClient", resource: "Resource", namespaces: set[str], told: list[str]) -> "Objects":
    """Across all namespaces, or if that is not allowed, in those that the subnet's rows name."""
    from assay.kube.errors import Forbidden

    try:
        objects, _ = await client.list(resource)
    except Forbidden:
        return [obj for namespace in sorted(namespaces) for obj in await _in(client, resource, namespace, told)]
    return objects


async def _in(
    client: "KubeClient", resource: "Resource", namespace: str, told: list[str], selector: str | None = None
) -> "Objects":
    from assay.kube.errors import Forbidden

    try:
        objects, _ = await client.list(resource, namespace, label_selector=selector)
    except Forbidden:
        told.append(f"{resource} in namespace {namespace}: you may not list them")
        return []
    return objects


async def _nothing() -> "Objects":
    return []


def _committed(subnet: dict[str, Any]) -> object:
    return (subnet.get("status") or {}).get("committed")
