"""What the Subnets' statuses say, as metrics: one series an object, gone with it."""

from datetime import datetime

from assay.api import InvalidObject, Subnet
from assay.kube.resources import Object
from assay.kube.store import OnChange
from assay.telemetry.metrics import Metrics, MinerReading, ValidatorReading


def report_to(metrics: Metrics) -> OnChange:
    """A subscriber of the Subnets' cache that keeps the metrics equal to the statuses."""

    def on_change(old: Object | None, new: Object | None) -> None:
        if new is None:
            if old is not None:
                metrics.forget_subnet(old["metadata"]["namespace"], old["metadata"]["name"])
            return
        try:
            subnet = Subnet.parse(new)
        except InvalidObject:
            return  # its condition says so
        _report(metrics, subnet)
        if old is not None and _committed(old) not in {None, _committed(new)}:
            _count_commit(metrics, subnet)

    return on_change


def _report(metrics: Metrics, subnet: Subnet) -> None:
    status = subnet.status
    metrics.report_subnet(
        subnet.metadata.namespace,
        subnet.metadata.name,
        status.committed.number if status.committed else 0,
        [MinerReading(row.uid, row.namespace, row.name, row.weight, row.incentive) for row in status.miners],
        [ValidatorReading(row.namespace, row.name, row.trust, row.dividends) for row in status.validators],
    )


def _count_commit(metrics: Metrics, subnet: Subnet) -> None:
    committed, epoch = subnet.status.committed, subnet.status.epoch
    if committed is None or epoch is None or epoch.number != committed.number:
        return
    delay = datetime.fromisoformat(committed.committed_at) - datetime.fromisoformat(epoch.started_at)
    metrics.epoch_committed(subnet.metadata.namespace, subnet.metadata.name, delay.total_seconds())


def _committed(obj: Object) -> int | None:
    number = ((obj.get("status") or {}).get("committed") or {}).get("number")
    return number if isinstance(number, int) else None
