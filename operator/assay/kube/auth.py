"""Where the API server is, and who we are to it.

Owns the loading of credentials: an explicit kubeconfig, a pod's service account, or the default kubeconfig, in that
order. It must never read proxy variables or `.netrc`: the operator talks to the address it was given and to nothing
between.
"""

import os
import ssl
from pathlib import Path

import yaml
from kubernetes.aio import config as loaders
from kubernetes.aio.client import Configuration
from kubernetes.aio.client.rest import RESTClientObject

_CONNECTIONS = 100  # watches count in it


class CredentialsError(Exception):
    """There is no usable way to the API server. The message says where it was looked for and what to do."""


async def load(kubeconfig: Path | None = None, context: str | None = None) -> Configuration:
    """A client configuration whose token, if it has one, is read anew as it is rotated.

    Raises `CredentialsError`.
    """
    configuration = Configuration()
    try:
        if kubeconfig is None and "KUBERNETES_SERVICE_HOST" in os.environ:
            loaders.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        else:
            await loaders.load_kube_config(  # type: ignore[no-untyped-call]
                config_file=str(kubeconfig) if kubeconfig else None,
                context=context,
                client_configuration=configuration,
                persist_config=False,
            )
    except (
        loaders.ConfigException,
        yaml.YAMLError,
        OSError,
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
    ) as error:
        # The loader takes for granted that the file holds what it should; what it stumbles over is the file's fault.
        reason = " ".join(f"{error}".split()) or type(error).__name__
        source = f"kubeconfig {kubeconfig}" if kubeconfig else "service account or default kubeconfig"
        remedy = "give --kubeconfig, set KUBECONFIG, or run in a pod with a service account token"
        raise CredentialsError(f"{source}: {reason}; {remedy}") from error
    return _closed_to_the_environment(configuration)


async def bearer(configuration: Configuration) -> str | None:
    """The current value of the Authorization header, None when a client certificate stands for us."""
    header: str | None = await configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
    return header


def _closed_to_the_environment(configuration: Configuration) -> Configuration:
    configuration.client_session_kwargs = {"trust_env": False}
    configuration.connection_pool_maxsize = _CONNECTIONS
    configuration.retries = None  # retries are the work queue's: it knows what is still wanted
    return configuration


def ssl_context(configuration: Configuration) -> ssl.SSLContext:
    """The TLS settings that the client library makes of a configuration, for a session of another library."""
    context: ssl.SSLContext = RESTClientObject(configuration).ssl_context
    return context
