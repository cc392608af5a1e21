"""`assay operator`: run the operator."""

import os
import socket
from pathlib import Path
from typing import Annotated

import typer

DEFAULT_TRITON_IMAGE = "nvcr.io/nvidia/tritonserver:26.09-py3"


def run(
    scorer_image: Annotated[str, typer.Option(envvar="ASSAY_SCORER_IMAGE", help="Image of scoring Jobs")],
    triton_image: Annotated[
        str, typer.Option(envvar="ASSAY_TRITON_IMAGE", help="Image of ModelDeployments that name none")
    ] = DEFAULT_TRITON_IMAGE,
    namespace: Annotated[str, typer.Option(envvar="POD_NAMESPACE", help="Where the Lease is")] = "assay-system",
    identity: Annotated[
        str, typer.Option(envvar="POD_NAME", help="Unique among the replicas; by default host and process")
    ] = "",
    lease_name: Annotated[str, typer.Option(help="Lease that elects the leader")] = "assay-operator",
    cluster_domain: Annotated[str, typer.Option(help="DNS domain of the cluster")] = "cluster.local",
    metrics_port: Annotated[int, typer.Option(help="Port of /metrics; 0 for any")] = 8080,
    health_port: Annotated[int, typer.Option(help="Port of /healthz and /readyz; 0 for any")] = 8081,
    kubeconfig: Annotated[
        Path | None, typer.Option(help="Kubeconfig; by default the pod's service account, else KUBECONFIG")
    ] = None,
    context: Annotated[str | None, typer.Option(help="Context in the kubeconfig")] = None,
    log_level: Annotated[str, typer.Option(help="DEBUG, INFO, WARNING or ERROR")] = "INFO",
) -> None:
    """Run the operator until SIGTERM."""
    import asyncio

    from assay.app import Operator, Options
    from assay.kube.auth import CredentialsError
    from assay.telemetry import logging

    try:
        logging.configure(log_level)
        options = Options(
            namespace=namespace,
            lease_name=lease_name,
            identity=identity or f"{socket.gethostname()}-{os.getpid()}",
            scorer_image=scorer_image,
            triton_image=triton_image,
            cluster_domain=cluster_domain,
            metrics_port=metrics_port,
            health_port=health_port,
            kubeconfig=kubeconfig,
            context=context,
        )
        asyncio.run(Operator(options).run())
    except (CredentialsError, ValueError) as error:
        typer.echo(f"assay operator: {error}", err=True)
        raise typer.Exit(2) from error
