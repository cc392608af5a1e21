"""`assay doctor`: is the cluster fit for assay, and does assay run on it?"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from assay.cli.cluster import ContextOption, KubeconfigOption, ask
from assay.cli.output import NEGATIVE, Output, OutputOption, exits, show
from assay.kube.resources import CUSTOM_RESOURCE_DEFINITIONS, DEPLOYMENTS, LEASES, NODES, Resource

if TYPE_CHECKING:
    from rich.console import RenderableType

    from assay.inspection.fitness import Facts, Finding, Review, Right, Unread
    from assay.kube.client import KubeClient, Objects

EXITS = exits(negative="something that assay needs is not there")
_AT_ONCE = 8
_STYLES = {"ok": "green", "info": "cyan", "warning": "yellow", "failed": "bold red"}
_ADMISSION = "admissionregistration.k8s.io"
_POLICIES = Resource(_ADMISSION, "v1", "validatingadmissionpolicies", "ValidatingAdmissionPolicy", False)
_BINDINGS = Resource(_ADMISSION, "v1", "validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding", False)
_OPERATOR = "app.kubernetes.io/part-of=assay,app.kubernetes.io/component=operator"


@dataclass(frozen=True)
class Diagnosis:
    """What was found, and the verdict."""

    fit: bool
    findings: "tuple[Finding, ...]"


class _Version(Resource):
    """/version, which is no resource and read like one."""

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        return "/version"


def run(
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", help="Where the operator is installed.")
    ] = "assay-system",
    output: OutputOption = Output.TABLE,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
) -> None:
    """Check the cluster: server version, kinds, rights, admission policies, operator, GPUs, image volumes.

    Asks the API server about your own rights and, if you may ask, about those of the operator's ServiceAccount.
    """
    from assay.inspection.fitness import findings, is_fit

    facts = ask(lambda client: _facts(client, namespace), kubeconfig, context)
    found = findings(facts, datetime.now(UTC))
    diagnosis = Diagnosis(is_fit(found), found)
    show(diagnosis, output, lambda: drawn(diagnosis))
    if not diagnosis.fit:
        raise typer.Exit(NEGATIVE)


def drawn(diagnosis: Diagnosis) -> "RenderableType":
    """The findings as a table, what is to be done below each."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False)
    for one in diagnosis.findings:
        table.add_row(Text(one.mark, style=_STYLES[one.mark]), one.check, Text(one.message))
        if one.remedy and one.mark not in ("ok", "info"):
            table.add_row("", "", Text(f"-> {one.remedy}"))
    return table


async def _facts(client: "KubeClient", namespace: str) -> "Facts":
    from assay.inspection.fitness import OPERATOR_RIGHTS, USER_RIGHTS, Facts, Unread

    # Asked first and alone: without an answer to it there is no cluster, and nothing else is worth asking.
    server = await client.get(_Version("", "v1", "version", "Version", False), None, "version")
    release, account = await _operator(client, namespace)
    user = f"system:serviceaccount:{namespace}:{account}"
    crds, policies, bindings, lease, nodes = await asyncio.gather(
        _objects(client, CUSTOM_RESOURCE_DEFINITIONS),
        _objects(client, _POLICIES),
        _objects(client, _BINDINGS),
        _lease(client, namespace),
        _objects(client, NODES),
    )
    return Facts(
        server=server,
        crds=crds
        if isinstance(crds, Unread)
        else {crd["metadata"]["name"].partition(".")[0]: crd for crd in _own(crds)},
        reviews=(
            await _review(client, "your rights", USER_RIGHTS, namespace, None),
            await _review(client, f"rights of {user}", OPERATOR_RIGHTS, namespace, user),
        ),
        policies=policies if isinstance(policies, Unread) else [one["metadata"]["name"] for one in policies],
        bindings=bindings if isinstance(bindings, Unread) else [one["spec"]["policyName"] for one in bindings],
        lease=lease,
        nodes=nodes,
        namespace=namespace,
        release=release,
    )


def _own(crds: "Objects") -> "Objects":
    return [crd for crd in crds if crd["spec"]["group"] == "assay.dev"]


async def _objects(client: "KubeClient", resource: Resource) -> "Objects | Unread":
    from assay.inspection.fitness import Unread
    from assay.kube.errors import KubeError

    try:
        objects, _ = await client.list(resource)
    except KubeError as error:
        return Unread(str(error))
    return objects


async def _lease(client: "KubeClient", namespace: str) -> "dict[str, Any] | Unread | None":
    from assay.inspection.fitness import Unread
    from assay.kube.errors import KubeError, NotFound

    try:
        return await client.get(LEASES, namespace, "assay-operator")
    except NotFound:
        return None
    except KubeError as error:
        return Unread(str(error))


async def _operator(client: "KubeClient", namespace: str) -> tuple[str, str]:
    """Name of the release's objects, and of the operator's ServiceAccount: as the Deployment has them, or the usual."""
    from assay.kube.errors import KubeError

    try:
        found, _ = await client.list(DEPLOYMENTS, namespace, label_selector=_OPERATOR)
    except KubeError:
        found = []
    if not found:
        return "assay", "assay"
    pod = found[0]["spec"]["template"]["spec"]
    return found[0]["metadata"]["name"], pod.get("serviceAccountName", "default")


async def _review(
    client: "KubeClient", subject: str, rights: "Sequence[Right]", namespace: str, user: str | None
) -> "Review":
    """Ask the API server about each right, of `user` or of whoever asks."""
    from assay.inspection.fitness import Review, Unread
    from assay.kube.errors import KubeError

    asking = asyncio.Semaphore(_AT_ONCE)

    async def granted(right: "Right") -> bool:
        async with asking:
            return await _is_granted(client, right, namespace, user)

    remedy = "install the chart with rbac.create" if user else "ask for the cluster role view, which assay-view adds to"
    try:
        answers = await asyncio.gather(*map(granted, rights))
    except KubeError as error:
        return Review(subject, len(rights), Unread(str(error)), remedy)
    denied = [right for right, is_granted in zip(rights, answers, strict=True) if not is_granted]
    return Review(subject, len(rights), denied, remedy)


async def _is_granted(client: "KubeClient", right: "Right", namespace: str, user: str | None) -> bool:
    spec: dict[str, Any] = {"resourceAttributes": right.attributes(namespace)}
    if user:
        spec |= {"user": user, "groups": ["system:serviceaccounts", f"system:serviceaccounts:{namespace}"]}
        spec["groups"].append("system:authenticated")
    answer = await client.create(
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview" if user else "SelfSubjectAccessReview",
            "metadata": {"name": ""},  # a review has no name, and the server refuses one that has
            "spec": spec,
        }
    )
    return bool(answer.get("status", {}).get("allowed"))
