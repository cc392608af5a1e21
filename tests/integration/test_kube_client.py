"""The client's verbs, limits and errors, on the real API server."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from kubernetes.aio.client import Configuration

import fault_proxy
import waiting
import widgets
from assay.kube import auth, errors
from assay.kube.client import KubeClient
from assay.kube.resources import CONFIG_MAPS, NAMESPACES, Object, ObjectRef
from fault_proxy import Fault, FaultProxy

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio]


@pytest_asyncio.fixture
async def client(kubeconfig: Path) -> AsyncIterator[KubeClient]:
    async with KubeClient(await auth.load(kubeconfig), user_agent="assay-test") as client:
        await widgets.install(client)
        yield client


@pytest_asyncio.fixture
async def proxy(kubeconfig: Path) -> AsyncIterator[FaultProxy]:
    async with fault_proxy.running(kubeconfig) as proxy:
        yield proxy


@pytest_asyncio.fixture
async def proxied(proxy: FaultProxy) -> AsyncIterator[KubeClient]:
    async with KubeClient(proxy.configuration, request_timeout_s=3) as client:
        yield client


def config_map(namespace: str, name: str, **data: str) -> Object:
    metadata = {"namespace": namespace, "name": name}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


async def test_an_object_is_created_read_and_deleted(client: KubeClient, namespace: str) -> None:
    created = await client.create(config_map(namespace, "a", k="v"), field_manager="t")
    assert (await client.get(CONFIG_MAPS, namespace, "a"))["data"] == {"k": "v"}
    await client.delete(ObjectRef.of(created))
    with pytest.raises(errors.NotFound, match=f"get ConfigMap {namespace}/a: 404"):
        await client.get(CONFIG_MAPS, namespace, "a")


async def test_creating_twice_already_exists(client: KubeClient, namespace: str) -> None:
    await client.create(config_map(namespace, "a"))
    with pytest.raises(errors.AlreadyExists):
        await client.create(config_map(namespace, "a"))


async def test_a_delete_meant_for_another_incarnation_conflicts(client: KubeClient, namespace: str) -> None:
    first = ObjectRef.of(await client.create(config_map(namespace, "a")))
    await client.delete(first)
    await client.create(config_map(namespace, "a"))
    with pytest.raises(errors.Conflict):
        await client.delete(first)
    assert await client.get(CONFIG_MAPS, namespace, "a")


async def test_apply_creates_changes_and_removes_what_is_omitted(client: KubeClient, namespace: str) -> None:
    await client.apply(config_map(namespace, "a", k="v", gone="soon"), field_manager="assay")
    await client.apply(config_map(namespace, "a", theirs="x"), field_manager="other")
    after = await client.apply(config_map(namespace, "a", k="w"), field_manager="assay")
    assert after["data"] == {"k": "w", "theirs": "x"}


async def test_apply_without_force_conflicts_on_a_field_of_another(client: KubeClient, namespace: str) -> None:
    await client.apply(config_map(namespace, "a", k="v"), field_manager="other")
    with pytest.raises(errors.Conflict, match="other"):
        await client.apply(config_map(namespace, "a", k="w"), field_manager="assay", force=False)


async def test_apply_to_another_incarnation_or_version_is_refused(client: KubeClient, namespace: str) -> None:
    manifest = config_map(namespace, "a", k="v")
    manifest["metadata"]["uid"] = "00000000-0000-0000-0000-000000000000"
    with pytest.raises(errors.Conflict, match="no existing object"):
        await client.apply(manifest, field_manager="assay")
    first = await client.apply(config_map(namespace, "a", k="v"), field_manager="assay")
    with pytest.raises(errors.Invalid, match=r"metadata\.uid"):
        await client.apply(manifest, field_manager="assay")
    await client.apply(config_map(namespace, "a", k="w"), field_manager="assay")
    del manifest["metadata"]["uid"]
    manifest["metadata"]["resourceVersion"] = first["metadata"]["resourceVersion"]
    with pytest.raises(errors.Conflict):
        await client.apply(manifest, field_manager="assay")


async def test_a_status_is_applied_only_to_the_version_it_was_computed_from(client: KubeClient, namespace: str) -> None:
    seen = await client.create(widgets.widget(namespace, "w", size=1))
    status = {
        "apiVersion": seen["apiVersion"],
        "kind": seen["kind"],
        "metadata": {"namespace": namespace, "name": "w", "resourceVersion": seen["metadata"]["resourceVersion"]},
        "status": {"epoch": 1},
    }
    after = await client.apply_status(status, field_manager="assay-status")
    assert (after["status"], after["spec"]) == ({"epoch": 1}, {"size": 1})
    assert after["metadata"]["generation"] == 1
    status["status"] = {"epoch": 2}
    with pytest.raises(errors.Conflict):
        await client.apply_status(status, field_manager="assay-status")
    with pytest.raises(ValueError, match=r"metadata\.resourceVersion is missing"):
        await client.apply_status(widgets.widget(namespace, "w"), field_manager="assay-status")


async def test_a_json_patch_whose_test_fails_changes_nothing(client: KubeClient, namespace: str) -> None:
    seen = await client.create(widgets.widget(namespace, "w", size=1))
    ref = ObjectRef.of(seen)
    guard = {"op": "test", "path": "/metadata/resourceVersion", "value": seen["metadata"]["resourceVersion"]}
    finalize = {"op": "add", "path": "/metadata/finalizers", "value": ["test.assay.dev/guard"]}
    after = await client.patch_json(ref, [guard, finalize])
    assert after["metadata"]["finalizers"] == ["test.assay.dev/guard"]
    with pytest.raises(errors.Invalid):
        await client.patch_json(ref, [guard, {"op": "remove", "path": "/metadata/finalizers"}])
    await client.patch_json(ref, [{"op": "remove", "path": "/metadata/finalizers"}])


async def test_a_refused_object_tells_its_causes(client: KubeClient, namespace: str) -> None:
    with pytest.raises(errors.Invalid, match=f"apply Widget {namespace}/w: 422 Invalid") as refused:
        await client.apply(widgets.widget(namespace, "w", size=11), field_manager="assay")
    (cause,) = refused.value.causes
    assert (cause.field, cause.reason) == ("spec.size", "FieldValueInvalid")


async def test_a_number_that_json_has_not_is_refused_before_it_is_sent(proxy: FaultProxy, proxied: KubeClient) -> None:
    await proxied.list(CONFIG_MAPS, "default")
    proxy.seen.clear()
    with pytest.raises(errors.Invalid, match="finite"):
        await proxied.apply(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "a", "namespace": "default"},
                "x": float("nan"),
            },
            field_manager="assay",
        )
    assert proxy.seen == []


async def test_a_namespace_that_does_not_exist_is_not_found(client: KubeClient) -> None:
    with pytest.raises(errors.NotFound):
        await client.create(config_map("no-such-namespace", "a"))


async def test_a_kind_is_discovered_once(
    proxy: FaultProxy, client: KubeClient, proxied: KubeClient, namespace: str
) -> None:
    for size in (1, 2):
        await proxied.apply(widgets.widget(namespace, "w", size=size), field_manager="assay")
    assert [path for method, path in proxy.seen if method == "GET"] == [f"/apis/{widgets.WIDGETS.api_version}"]


@pytest.mark.parametrize("api_version", ["test.assay.dev/v1", "no.such.group/v1"])
async def test_a_kind_that_is_not_served_is_not_found(client: KubeClient, api_version: str) -> None:
    with pytest.raises(errors.NotFound, match="discover Nothing"):
        await client.resource_for(api_version, "Nothing")


async def test_a_long_list_comes_whole_and_in_pages(proxy: FaultProxy, proxied: KubeClient, namespace: str) -> None:
    gate = asyncio.Semaphore(16)

    async def create(number: int) -> None:
        async with gate:
            await proxied.create(config_map(namespace, f"c-{number:04}"))

    await asyncio.gather(*(create(number) for number in range(620)))
    proxy.seen.clear()
    items, version = await proxied.list(CONFIG_MAPS, namespace)
    names = {item["metadata"]["name"] for item in items} - {"kube-root-ca.crt"}
    assert names == {f"c-{number:04}" for number in range(620)}
    assert len(proxy.seen) == 2
    assert {(item["apiVersion"], item["kind"]) for item in items} == {("v1", "ConfigMap")}
    assert int(version) > 0

    gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "The provided continue parameter is too old"}
    expired = Fault(lambda request: "continue" in request.query, 410, json.dumps(gone))
    proxy.add(expired)
    again, _ = await proxied.list(CONFIG_MAPS, namespace)
    assert len(again) == len(items)

    proxy.add(Fault(lambda request: "continue" in request.query, 410, json.dumps(gone), times=99))
    with pytest.raises(errors.Gone):
        await proxied.list(CONFIG_MAPS, namespace)


async def test_lists_and_watches_respect_selectors(client: KubeClient, namespace: str) -> None:
    labelled = config_map(namespace, "yes")
    labelled["metadata"]["labels"] = {"pick": "me"}
    _, version = await client.list(CONFIG_MAPS, namespace, label_selector="pick=me")
    await client.create(config_map(namespace, "no"))
    await client.create(labelled)
    events = client.watch(CONFIG_MAPS, version, namespace, label_selector="pick=me", timeout_s=10)
    event = await anext(events)
    await events.aclose()
    assert (event.type, event.object["metadata"]["name"]) == ("ADDED", "yes")
    items, _ = await client.list(CONFIG_MAPS, namespace, field_selector="metadata.name=no")
    assert [item["metadata"]["name"] for item in items] == ["no"]


async def test_a_watch_brings_every_change_in_order_and_ends_with_a_bookmark(
    client: KubeClient, namespace: str
) -> None:
    _, version = await client.list(CONFIG_MAPS, namespace)

    async def change() -> None:
        for value in ("1", "2"):
            await client.apply(config_map(namespace, "a", k=value), field_manager="t")
        await client.delete(ObjectRef("v1", "ConfigMap", namespace, "a"))

    changing = asyncio.create_task(change())
    events = [event async for event in client.watch(CONFIG_MAPS, version, namespace, timeout_s=4)]
    await changing
    kinds = [event.type for event in events if event.type == "BOOKMARK" or event.object["metadata"]["name"] == "a"]
    # A busy server may send a bookmark on the way too.
    assert [kind for kind in kinds if kind != "BOOKMARK"] == ["ADDED", "MODIFIED", "DELETED"]
    assert kinds[-1] == "BOOKMARK"
    versions = [int(event.resource_version) for event in events]
    assert versions == sorted(versions)


async def test_a_silent_watch_is_given_up(proxy: FaultProxy, proxied: KubeClient) -> None:
    _, version = await proxied.list(CONFIG_MAPS)
    proxy.freeze()
    started = time.monotonic()
    with pytest.raises(errors.Unreachable, match="silent"):
        async for _ in proxied.watch(CONFIG_MAPS, version, timeout_s=60, silence_s=1.5):
            pass
    assert 1.4 < time.monotonic() - started < 4


@pytest.mark.parametrize("rest", [b"", b'{"type":"ADDED","object":{"metada'], ids=["between lines", "within a line"])
async def test_a_watch_that_is_cut_is_unreachable(proxy: FaultProxy, proxied: KubeClient, rest: bytes) -> None:
    _, version = await proxied.list(NAMESPACES)

    async def consume() -> None:
        async for _ in proxied.watch(NAMESPACES, version, timeout_s=30):
            pass

    consuming = asyncio.create_task(consume())
    await waiting.until(lambda: proxy.open_watches("namespaces"))
    proxy.cut_watches(rest)
    with pytest.raises(errors.Unreachable):
        await asyncio.wait_for(consuming, 5)


async def test_a_refused_connection_is_unreachable(unused_tcp_port: int) -> None:
    async with KubeClient(Configuration(host=f"http://127.0.0.1:{unused_tcp_port}")) as client:
        with pytest.raises(errors.Unreachable, match="list configmaps"):
            await client.list(CONFIG_MAPS)


async def test_a_call_that_hangs_is_given_up_in_time(proxy: FaultProxy, proxied: KubeClient) -> None:
    proxy.add(Fault(fault_proxy.lists("configmaps"), 500, delay_s=10))
    started = time.monotonic()
    with pytest.raises(errors.Unreachable, match="no answer in 3"):
        await proxied.list(CONFIG_MAPS)
    assert time.monotonic() - started < 4


async def test_a_lost_answer_is_unreachable_though_the_write_was_done(
    proxy: FaultProxy, proxied: KubeClient, namespace: str
) -> None:
    proxy.add(Fault(fault_proxy.writes("configmaps")))
    with pytest.raises(errors.Unreachable):
        await proxied.create(config_map(namespace, "a", k="v"))
    with pytest.raises(errors.AlreadyExists):
        await proxied.create(config_map(namespace, "a", k="v"))


@pytest.mark.parametrize(
    ("status", "expected"), [(429, errors.TooManyRequests), (503, errors.ServerError)], ids=["429", "503"]
)
async def test_a_server_that_asks_for_patience_is_heard(
    proxy: FaultProxy, proxied: KubeClient, status: int, expected: type[errors.KubeError]
) -> None:
    proxy.add(Fault(fault_proxy.lists("configmaps"), status, "busy", {"Retry-After": "7"}))
    with pytest.raises(expected) as asked:
        await proxied.list(CONFIG_MAPS)
    assert getattr(asked.value, "retry_after_s", None) == 7


@pytest.mark.parametrize("body", ["<html>", "[]", "null", ""])
async def test_an_answer_that_is_no_object_is_a_server_error(proxy: FaultProxy, proxied: KubeClient, body: str) -> None:
    proxy.add(Fault(fault_proxy.lists("configmaps"), 200, body))
    with pytest.raises(errors.ServerError):
        await proxied.list(CONFIG_MAPS)


async def test_who_has_no_rights_is_forbidden_and_who_is_unknown_too(
    client: KubeClient, kubeconfig: Path, namespace: str
) -> None:
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"namespace": namespace, "name": "nobody"}}
    await client.create(account)
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    token = await client._call(
        "create",
        "POST",
        await client.resource_for("v1", "ServiceAccount"),
        f"/api/v1/namespaces/{namespace}/serviceaccounts/nobody/token",
        "token",
        body=request,
    )
    for secret, status in ((token["status"]["token"], 403), ("not-a-token", 401)):
        configuration = await auth.load(kubeconfig)
        configuration.cert_file = configuration.key_file = None
        configuration.api_key["BearerToken"] = f"Bearer {secret}"
        async with KubeClient(configuration) as nobody:
            with pytest.raises(errors.Forbidden) as refused:
                await nobody.list(CONFIG_MAPS, namespace)
        assert refused.value.status == status


async def test_proxy_variables_are_ignored(kubeconfig: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    async with KubeClient(await auth.load(kubeconfig)) as client:
        assert await client.list(NAMESPACES)


async def test_every_request_is_seen_by_the_observer(kubeconfig: Path, namespace: str) -> None:
    seen: list[tuple[str, str, int]] = []

    class Observer:
        def requested(self, verb: str, resource: str, status: int, took_s: float) -> None:
            assert 0 <= took_s < 5
            seen.append((verb, resource, status))

    async with KubeClient(await auth.load(kubeconfig), observer=Observer()) as client:
        await client.create(config_map(namespace, "a"))
        with pytest.raises(errors.NotFound):
            await client.get(CONFIG_MAPS, namespace, "b")
        async for _ in client.watch(CONFIG_MAPS, "0", namespace, timeout_s=1):
            break
    assert seen == [("create", "configmaps", 201), ("get", "configmaps", 404), ("watch", "configmaps", 200)]


@pytest.mark.parametrize(
    "content", ["", "clusters: [", "current-context: none\ncontexts: []\nclusters: []\nusers: []\n"]
)
async def test_a_kubeconfig_that_cannot_be_used_says_what_to_do(tmp_path: Path, content: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(content)
    with pytest.raises(auth.CredentialsError, match=r"kubeconfig .*; give --kubeconfig"):
        await auth.load(path)
    with pytest.raises(auth.CredentialsError, match=r"kubeconfig .*; give --kubeconfig"):
        await auth.load(tmp_path / "absent")
