"""The API server's verbs, for any kind.

Owns the requests: paths, content types, field managers, preconditions and time limits, over `kubernetes.aio`. It
must never retry (the work queue knows what is still wanted) and never interpret a kind. Invariants: every call ends
within its time limit, and raises nothing but the errors of `assay.kube.errors`.
"""

import json
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from time import monotonic
from typing import Any, Literal, Protocol

import aiohttp
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.client.exceptions import OpenApiException
from kubernetes.aio.client.rest import RESTResponse
from kubernetes.aio.config import ConfigException

from assay.kube import errors, stream
from assay.kube.resources import BUILT_IN, Object, ObjectRef, Resource
from assay.kube.stream import WatchEvent

__all__ = ["KubeClient", "Object", "ObjectRef", "Objects", "RequestObserver", "Resource", "WatchEvent"]

Objects = list[Object]
Propagation = Literal["Background", "Foreground", "Orphan"]

_APPLY = "application/apply-patch+yaml"
_JSON = "application/json"
_JSON_PATCH = "application/json-patch+json"
_MERGE_PATCH = "application/merge-patch+json"

_PAGE = 500
_LIST_ATTEMPTS = 3  # a continue token expires after minutes; a list that takes longer than that thrice is hopeless
_LINE_LIMIT = 8 * 1024 * 1024  # an object is at most 1.5 MiB in etcd; JSON escapes and managedFields need some more


class RequestObserver(Protocol):
    """Sees every request. Must not raise and must not wait."""

    def requested(self, verb: str, resource: str, status: int, took_s: float) -> None:
        """A request ended with HTTP `status` (0: no answer). For a watch, `took_s` is the time until it was open."""
        ...


class KubeClient:
    """Calls the API server. Safe for many tasks of one event loop; close it, or use it as an async context."""

    def __init__(
        self,
        configuration: Configuration,
        *,
        user_agent: str = "assay",
        request_timeout_s: float = 30.0,
        connect_timeout_s: float = 5.0,
        known: Iterable[Resource] = (),
        observer: RequestObserver | None = None,
    ) -> None:
        self._api = ApiClient(configuration)
        self._api.user_agent = user_agent
        self._limits = aiohttp.ClientTimeout(total=request_timeout_s, sock_connect=connect_timeout_s)
        self._connect_timeout_s = connect_timeout_s
        self._resources = {(resource.api_version, resource.kind): resource for resource in (*BUILT_IN, *known)}
        self._observer = observer
        self._unreachable = False
        self._on_recovery: list[Callable[[], None]] = []

    async def __aenter__(self) -> "KubeClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()  # type: ignore[no-untyped-call]

    def on_recovery(self, call: Callable[[], None]) -> None:
        """Have `call` called whenever the server answers again after it could not be reached.

        So whoever waits out a long backoff learns at once of what another request found out. It must not raise or wait.
        """
        self._on_recovery.append(call)

    async def resource_for(self, api_version: str, kind: str) -> Resource:
        """How a kind is served, asking the server once for kinds not known. Raises `NotFound` if it is not served."""
        if (api_version, kind) not in self._resources:
            await self._discover(api_version, kind)
        try:
            return self._resources[api_version, kind]
        except KeyError:
            message = f"not served; install the CustomResourceDefinition of {kind} in {api_version}"
            raise errors.NotFound(f"discover {kind}", message, status=404, reason="NotFound") from None

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Object:
        """One object, read from etcd's majority. Raises `NotFound`."""
        ref = ObjectRef(resource.api_version, resource.kind, namespace, name)
        return await self._call("get", "GET", resource, resource.path(namespace, name), str(ref))

    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str | None = None,
        field_selector: str | None = None,
    ) -> tuple[Objects, str]:
        """All objects of a kind, and the resourceVersion from which to watch on.

        Read in pages; if the continue token expires on the way, from the start again. So the answer is one consistent
        picture or an error, never a part.
        """
        selectors = _present(labelSelector=label_selector, fieldSelector=field_selector)
        for attempt in range(_LIST_ATTEMPTS):
            try:
                return await self._list_pages(resource, namespace, selectors)
            except errors.Gone:
                if attempt == _LIST_ATTEMPTS - 1:
                    raise
        raise AssertionError("the loop above returns or raises")

    async def watch(
        self,
        resource: Resource,
        resource_version: str,
        namespace: str | None = None,
        *,
        label_selector: str | None = None,
        field_selector: str | None = None,
        timeout_s: int = 300,
        silence_s: float = 70.0,
    ) -> AsyncGenerator[WatchEvent, None]:
        """Changes after `resource_version`, bookmarks included. Ends when the server ends it, after about `timeout_s`.

        The server sends a bookmark a minute; nothing for `silence_s` seconds means a dead connection and raises
        `Unreachable`. `Gone` means to list again. Close the iterator (`contextlib.aclosing`) if it is left early.
        """
        subject = _collection(resource, namespace)
        query = _present(labelSelector=label_selector, fieldSelector=field_selector) | {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(timeout_s),
        }
        limits = aiohttp.ClientTimeout(
            total=timeout_s + silence_s, sock_connect=self._connect_timeout_s, sock_read=silence_s
        )
        path = resource.path(namespace)
        response = await self._send("watch", "GET", resource, path, subject, query=query, limits=limits)
        try:
            while line := await _read_line(response.response, f"watch {subject}"):
                yield stream.decode(f"watch {subject}", line)
        finally:
            response.response.close()

    async def create(self, manifest: Mapping[str, Any], *, field_manager: str | None = None) -> Object:
        """Create an object. Raises `AlreadyExists`."""
        ref = ObjectRef.of(manifest)
        resource = await self.resource_for(ref.api_version, ref.kind)
        query = _present(fieldManager=field_manager)
        path = resource.path(ref.namespace)
        return await self._call("create", "POST", resource, path, str(ref), query=query, body=manifest)

    async def apply(self, manifest: Mapping[str, Any], *, field_manager: str, force: bool = True) -> Object:
        """Server-side apply of the full intent: fields that the manager applied before and omits now are removed.

        Give `metadata.resourceVersion` to apply to that version only: raises `Conflict` otherwise. Give `metadata.uid`
        to apply to that incarnation only: raises `Conflict` if there is none of the name, `Invalid` if there is another
        (so the server answers). Never send `metadata.managedFields`.
        """
        ref = ObjectRef.of(manifest)
        resource = await self.resource_for(ref.api_version, ref.kind)
        path = resource.path(ref.namespace, ref.name)
        return await self._apply("apply", resource, path, ref, manifest, field_manager, force)

    async def apply_status(self, manifest: Mapping[str, Any], *, field_manager: str) -> Object:
        """Server-side apply of the status, only to the version in `metadata.resourceVersion`. Raises `Conflict` else.

        The manifest holds apiVersion, kind, metadata (namespace, name, resourceVersion) and status.
        """
        ref = ObjectRef.of(manifest)
        if not manifest["metadata"].get("resourceVersion"):
            raise ValueError(
                f"status of {ref}: metadata.resourceVersion is missing; take it from the object that was read"
            )
        resource = await self.resource_for(ref.api_version, ref.kind)
        path = resource.path(ref.namespace, ref.name, "status")
        return await self._apply("apply status of", resource, path, ref, manifest, field_manager, force=True)

    async def delete(self, ref: ObjectRef, uid: str | None = None, propagation: Propagation = "Background") -> None:
        """Delete the object, if it is still the incarnation `uid` (by default that of `ref`).

        Raises `NotFound`, and `Conflict` when another object has taken the name.
        """
        resource = await self.resource_for(ref.api_version, ref.kind)
        uid = uid or ref.uid
        options: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        if uid:
            options["preconditions"] = {"uid": uid}
        await self._call("delete", "DELETE", resource, resource.path(ref.namespace, ref.name), str(ref), body=options)

    async def patch_json(
        self, ref: ObjectRef, operations: Sequence[Mapping[str, Any]], *, subresource: str | None = None
    ) -> Object:
        """Apply JSON-patch operations; a `test` that does not hold raises `Invalid`."""
        resource = await self.resource_for(ref.api_version, ref.kind)
        path = resource.path(ref.namespace, ref.name, subresource)
        body = list(operations)
        return await self._call("patch", "PATCH", resource, path, str(ref), body=body, content_type=_JSON_PATCH)

    async def patch_merge(
        self, ref: ObjectRef, patch: Mapping[str, Any], *, field_manager: str, subresource: str | None = None
    ) -> Object:
        """Apply a JSON merge patch: null removes, lists are replaced whole."""
        resource = await self.resource_for(ref.api_version, ref.kind)
        path = resource.path(ref.namespace, ref.name, subresource)
        query = {"fieldManager": field_manager}
        return await self._call(
            "patch", "PATCH", resource, path, str(ref), query=query, body=patch, content_type=_MERGE_PATCH
        )

    async def _apply(
        self,
        verb: str,
        resource: Resource,
        path: str,
        ref: ObjectRef,
        manifest: Mapping[str, Any],
        field_manager: str,
        force: bool,
    ) -> Object:
        query = {"fieldManager": field_manager, "force": str(force).lower()}
        return await self._call(
            verb, "PATCH", resource, path, str(ref), query=query, body=manifest, content_type=_APPLY
        )

    async def _list_pages(
        self, resource: Resource, namespace: str | None, selectors: Mapping[str, str]
    ) -> tuple[Objects, str]:
        items: Objects = []
        query = {**selectors, "limit": str(_PAGE)}
        while True:
            subject = _collection(resource, namespace)
            page = await self._call("list", "GET", resource, resource.path(namespace), subject, query=query)
            # Items of a list come without these two; every object of ours says what it is.
            items += [
                {"apiVersion": resource.api_version, "kind": resource.kind, **item} for item in page.get("items") or []
            ]
            metadata = page.get("metadata") or {}
            if not metadata.get("continue"):
                return items, str(metadata.get("resourceVersion", ""))
            query = {**selectors, "limit": str(_PAGE), "continue": metadata["continue"]}

    async def _discover(self, api_version: str, kind: str) -> None:
        group, _, version = api_version.rpartition("/")
        unknown = Resource(group, version, "", kind)
        path = f"/apis/{api_version}" if group else f"/api/{version}"
        answer = await self._call("discover", "GET", unknown, path, f"{kind} in {api_version}")
        for served in answer.get("resources") or []:
            if "/" not in served["name"]:
                resource = Resource(group, version, served["name"], served["kind"], served["namespaced"])
                self._resources[api_version, resource.kind] = resource

    async def _call(
        self,
        verb: str,
        method: str,
        resource: Resource,
        path: str,
        subject: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = _JSON,
    ) -> Object:
        if body is not None:
            _refuse_what_is_not_json(f"{verb} {subject}", body)
        response = await self._send(
            verb, method, resource, path, subject, query=query, body=body, content_type=content_type
        )
        data = await _read_all(response, f"{verb} {subject}")
        try:
            answer = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise errors.ServerError(f"{verb} {subject}", f"the answer is not JSON: {data[:128]!r}") from error
        if not isinstance(answer, dict):
            raise errors.ServerError(f"{verb} {subject}", f"the answer is not an object: {data[:128]!r}")
        return answer

    async def _send(
        self,
        verb: str,
        method: str,
        resource: Resource,
        path: str,
        subject: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = _JSON,
        limits: aiohttp.ClientTimeout | None = None,
    ) -> RESTResponse:
        """Send a request; a response whose status is 2xx and whose body is unread, or one of our errors."""
        started = monotonic()
        status = 0
        try:
            request = await self._api.param_serialize(
                method,
                path,
                query_params=list((query or {}).items()),
                header_params={"Accept": _JSON, "Content-Type": content_type},
                body=body,
                auth_settings=["BearerToken"],
            )
            response = await self._api.call_api(*request, _request_timeout=limits or self._limits)
            status = response.status
        except TimeoutError as error:
            self._unreachable = True
            raise errors.Unreachable(f"{verb} {subject}", f"no answer in {monotonic() - started:.1f} s") from error
        except (aiohttp.ClientError, OSError, ConfigException, OpenApiException) as error:
            self._unreachable = True
            raise errors.Unreachable(f"{verb} {subject}", str(error) or type(error).__name__) from error
        finally:
            if self._observer:
                self._observer.requested(verb, str(resource), status, monotonic() - started)
        if self._unreachable:
            self._unreachable = False
            for call in self._on_recovery:
                call()
        if not 200 <= status <= 299:
            data = await _read_all(response, f"{verb} {subject}")
            raise errors.from_answer(f"{verb} {subject}", status, data, response.headers)
        return response


def _present(**query: str | None) -> dict[str, str]:
    return {name: value for name, value in query.items() if value is not None}


def _collection(resource: Resource, namespace: str | None) -> str:
    if not resource.namespaced:
        return str(resource)
    return f"{resource} in {namespace or 'all namespaces'}"


def _refuse_what_is_not_json(subject: str, body: object) -> None:
    """The client library would send NaN and Infinity as they are, and the server's complaint would name no field."""
    try:
        json.dumps(body, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise errors.Invalid(subject, f"the body is not JSON: {error}; numbers must be finite") from error


async def _read_all(response: RESTResponse, subject: str) -> bytes:
    try:
        data: bytes = await response.read()  # type: ignore[no-untyped-call]
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise errors.Unreachable(subject, f"the answer was cut: {error or type(error).__name__}") from error
    return data


async def _read_line(response: aiohttp.ClientResponse, subject: str) -> bytes:
    try:
        return await response.content.readline(max_line_length=_LINE_LIMIT)
    except TimeoutError as error:
        raise errors.Unreachable(subject, "silent: neither event nor bookmark for too long") from error
    except (aiohttp.ClientError, OSError) as error:
        raise errors.Unreachable(subject, f"the stream broke: {error or type(error).__name__}") from error
    except ValueError as error:
        raise errors.ServerError(subject, f"a line of more than {_LINE_LIMIT} bytes") from error
