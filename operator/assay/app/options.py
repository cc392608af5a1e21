"""How the operator is started: the values behind the command line's flags."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Options:
    """What the operator must be told.

    Attributes:
        namespace: where its Lease and its Secret are.
        lease_name: name of the Lease that elects the leader.
        identity: unique among the replicas; a pod's name is.
        scorer_image: image of scoring Jobs.
        triton_image: image of ModelDeployments that name none.
        cluster_domain: DNS domain of the cluster.
        metrics_port: port of /metrics.
        health_port: port of /healthz and /readyz.
        kubeconfig: file to use instead of the pod's service account.
        context: context in it.
    """

    namespace: str
    lease_name: str
    identity: str
    scorer_image: str
    triton_image: str
    cluster_domain: str
    metrics_port: int
    health_port: int
    kubeconfig: Path | None = None
    context: str | None = None
