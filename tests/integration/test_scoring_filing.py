"""Filing on a real API server, with the one right that a scorer has, and with answers that get lost."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client
from kubernetes.aio.client import Configuration

import fault_proxy
from assay.api import ScoreReport
from assay.scoring.filing import NotFiled, file_report, pod_configuration
from assay.scoring.report import build_report
from assay.scoring.runner import Failed, Scored
from assay.verification import MinerScore
from assignments import assignment
from fault_proxy import Fault, FaultProxy

pytestmark = pytest.mark.cluster

GROUP, VERSION, PLURAL = "assay.dev", "v1alpha1", "scorereports"
DIGEST = "sha256:" + "0" * 64
REPORTS = fault_proxy.writes(PLURAL)


def report(namespace: str, result: Scored | Failed | None = None, owner_uid: str = "no-owner") -> dict[str, Any]:
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner_uid}
    target = {"namespace": namespace, "name": "val-a-40-0a1b2c3d", "ownerReference": owner}
    row = MinerScore(65535, samples=8, failures=0, quality_ppm=1_000_000, latency_p50_us=900, latency_p99_us=1500)
    now = datetime.now(UTC)
    given = assignment(report=target)
    return build_report(given, DIGEST, result or Scored({0: row}), started_at=now, finished_at=now)


@pytest.fixture
def owner_uid(api_client: client.ApiClient, namespace: str) -> str:
    """Of an object that exists: the garbage collector takes a report without owner at once."""
    owner = client.CoreV1Api(api_client).create_namespaced_config_map(namespace, {"metadata": {"name": "owner"}})
    return str(owner.metadata.uid)


@pytest.fixture
def scorer(api_client: client.ApiClient, namespace: str, kubeconfig: Path) -> Configuration:
    """The API server as a service account sees it that may create ScoreReports and nothing else."""
    core, rbac = client.CoreV1Api(api_client), client.RbacAuthorizationV1Api(api_client)
    core.create_namespaced_service_account(namespace, {"metadata": {"name": "val-a-scorer"}})
    rules = [{"apiGroups": [GROUP], "resources": [PLURAL], "verbs": ["create"]}]
    rbac.create_namespaced_role(namespace, {"metadata": {"name": "scorer"}, "rules": rules})
    binding = {
        "metadata": {"name": "scorer"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "scorer"},
        "subjects": [{"kind": "ServiceAccount", "name": "val-a-scorer", "namespace": namespace}],
    }
    rbac.create_namespaced_role_binding(namespace, binding)
    token = core.create_namespaced_service_account_token("val-a-scorer", namespace, {"spec": {}}).status.token
    configuration = Configuration(host=api_client.configuration.host)
    configuration.ssl_ca_cert = api_client.configuration.ssl_ca_cert
    configuration.api_key["BearerToken"] = f"bearer {token}"
    return configuration


def filed(custom_objects: client.CustomObjectsApi, namespace: str) -> list[ScoreReport]:
    objects = custom_objects.list_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL)["items"]
    return [ScoreReport.parse(each) for each in objects]


def test_a_report_is_created_once_and_filing_again_is_no_error(
    scorer: Configuration, custom_objects: client.CustomObjectsApi, namespace: str, owner_uid: str
) -> None:
    asyncio.run(file_report(report(namespace, owner_uid=owner_uid), scorer, 5.0))
    late = Failed("ReferenceUnavailable", "too late")
    asyncio.run(file_report(report(namespace, late, owner_uid), scorer, 5.0))
    (stored,) = filed(custom_objects, namespace)
    assert [(score.uid, score.weight) for score in stored.spec.scores] == [(0, 65535)]
    assert stored.spec.failure is None
    assert stored.metadata.owner_references[0].uid == owner_uid


@pytest.mark.parametrize(
    "result",
    [
        pytest.param(Failed("ReferenceUnavailable", "no answer"), id="without scores"),
        pytest.param(Scored({}), id="without miners"),
        pytest.param(
            Scored({uid: MinerScore(uid, 8, 8, 0, None, None) for uid in range(4096)}), id="with 4096 miners, packed"
        ),
    ],
)
def test_every_form_of_report_is_accepted(
    scorer: Configuration,
    custom_objects: client.CustomObjectsApi,
    namespace: str,
    owner_uid: str,
    result: Scored | Failed,
) -> None:
    asyncio.run(file_report(report(namespace, result, owner_uid), scorer, 5.0))
    assert len(filed(custom_objects, namespace)) == 1


def test_what_the_server_refuses_is_not_tried_again(
    scorer: Configuration, crds_installed: None, namespace: str
) -> None:
    manifest = report(namespace)
    manifest["spec"]["epoch"] = -1
    with pytest.raises(NotFiled, match=r"refused with HTTP 422: .*spec\.epoch"):
        asyncio.run(file_report(manifest, scorer, 60.0))


def test_another_namespace_is_forbidden(scorer: Configuration, crds_installed: None) -> None:
    with pytest.raises(NotFiled, match="refused with HTTP 403"):
        asyncio.run(file_report(report("default"), scorer, 60.0))


async def lose_the_answer(proxy: FaultProxy) -> None:
    proxy.add(Fault(REPORTS))


async def answer_busy(proxy: FaultProxy) -> None:
    proxy.add(Fault(REPORTS, 429, headers={"Retry-After": "1"}))
    proxy.add(Fault(REPORTS, 500))
    proxy.add(Fault(REPORTS, 503))


async def be_away_for_a_while(proxy: FaultProxy) -> None:
    proxy.refuse()
    asyncio.get_running_loop().call_later(1.0, proxy.accept)


@pytest.mark.parametrize("trouble", [lose_the_answer, answer_busy, be_away_for_a_while], ids=lambda each: each.__name__)
def test_trouble_on_the_way_delays_the_report_and_does_not_double_it(
    trouble: Callable[[FaultProxy], Awaitable[None]],
    custom_objects: client.CustomObjectsApi,
    kubeconfig: Path,
    namespace: str,
    owner_uid: str,
) -> None:
    async def file() -> None:
        async with fault_proxy.running(kubeconfig) as proxy:
            await trouble(proxy)
            await file_report(report(namespace, owner_uid=owner_uid), proxy.configuration, 20.0)

    asyncio.run(file())
    assert len(filed(custom_objects, namespace)) == 1


def test_a_server_that_stays_away_ends_the_patience() -> None:
    async def file() -> float:
        begun = asyncio.get_running_loop().time()
        with pytest.raises(NotFiled, match="did not take the report in time: ClientConnectorError"):
            await file_report(report("val-a"), Configuration(host="http://127.0.0.1:1"), 2.0)
        return asyncio.get_running_loop().time() - begun

    assert asyncio.run(file()) < 2.0


def test_outside_of_a_pod_the_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(NotFiled, match=r"no service account is mounted .*; outside of a pod use --dry-run"):
        pod_configuration()
