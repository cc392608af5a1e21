"""Filing the report: one create call, insisted upon.

Owns the scorer's only contact with the API server, whose only verb is create. A lost answer is asked again, and a
report that exists already counts as filed: the name is this validator's for this epoch, so nobody else's report can
be there.
"""

import asyncio
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import aiohttp
from kubernetes.aio.client import ApiClient, ApiException, Configuration, CustomObjectsApi
from kubernetes.aio.config import ConfigException, load_incluster_config

from assay.api import GROUP, VERSION, ScoreReport
from assay.scoring.report import NotFiled

log = logging.getLogger(__name__)

REQUEST_TIMEOUT_S = 5.0
PAUSE_S, PAUSE_S_MAX = 0.2, 2.0


def pod_configuration() -> Configuration:
    """How the pod's service account reaches the API server; raises NotFiled outside of a pod."""
    configuration = Configuration()
    try:
        load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    except ConfigException as error:
        raise NotFiled(
            f"no service account is mounted ({error}); outside of a pod use --dry-run or --output"
        ) from error
    configuration.client_session_kwargs = {"trust_env": False}
    return configuration


async def file_report(manifest: Mapping[str, Any], configuration: Configuration, patience_s: float) -> None:
    """Create the ScoreReport, asking again for up to `patience_s` while the API server cannot be reached or is busy.

    Raises NotFiled if it refuses, or if the time is over.
    """
    until_s = asyncio.get_running_loop().time() + patience_s
    pause_s = PAUSE_S
    async with ApiClient(configuration) as api:
        while True:
            fault = await _create(CustomObjectsApi(api), manifest)
            if fault is None:
                return
            if asyncio.get_running_loop().time() + pause_s >= until_s:
                raise NotFiled(f"the API server did not take the report in time: {fault}")
            log.warning("report was not taken", extra={"detail": fault})
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, PAUSE_S_MAX)


async def _create(api: CustomObjectsApi, manifest: Mapping[str, Any]) -> str | None:
    """None once the report is there, what went wrong if asking again may help; raises NotFiled otherwise."""
    metadata = manifest["metadata"]
    named = {"kind": manifest["kind"], "namespace": metadata["namespace"], "name": metadata["name"]}
    try:
        await api.create_namespaced_custom_object(
            GROUP,
            VERSION,
            metadata["namespace"],
            ScoreReport.DEFINITION.plural,
            dict(manifest),
            _request_timeout=REQUEST_TIMEOUT_S,
        )
    except ApiException as error:
        if error.status == HTTPStatus.CONFLICT:
            log.info("report was filed before", extra={"object": named})
            return None
        said = " ".join(str(error.body or error.reason).split())[:500]
        if error.status == HTTPStatus.TOO_MANY_REQUESTS or error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return f"HTTP {error.status}: {said}"
        raise NotFiled(
            f"ScoreReport {metadata['namespace']}/{metadata['name']} was refused with HTTP {error.status}: {said}"
        ) from error
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        return f"{type(error).__name__}: {error}"
    log.info("report is filed", extra={"object": named})
    return None
