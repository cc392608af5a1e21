"""What the objects' statuses say, as metrics: one series an object, gone with it.

Owns the way from caches to readings. It must never decide anything, nor fail a change: an object that cannot be read
has a condition that says so, and shows nothing else.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from assay.api import InvalidObject, RejectedReport, Subnet, ValidatorStatus
from assay.controllers.stores import Stores, reported_subnet
from assay.kube.resources import Object
from assay.kube.store import OnChange
from assay.planning.reports import Rejection
from assay.telemetry.market import ConditionReading, MarketMetrics, MinerReading, SubnetReading, ValidatorReading

SHOWN = {
    "subnets": ("Subnet", frozenset({"Ready", "MinersReady", "ValidatorsReady", "EpochAdvancing", "ConsensusFresh"})),
    "modeldeployments": ("ModelDeployment", frozenset({"Ready"})),
    "validatorpolicies": ("ValidatorPolicy", frozenset({"Ready", "Scoring"})),
}
"""Kind and conditions shown, by cache. What a ModelDeployment lacks is in the reason of its Ready."""


@contextmanager
def showing(market: MarketMetrics, stores: Stores) -> Iterator[None]:
    """Keep the metrics equal to what the caches hold, from now on; show nothing any more at the end."""
    observers: dict[str, list[OnChange]] = {plural: [_conditions_of(market, plural)] for plural in SHOWN}
    observers["subnets"].insert(0, _subnets(market))
    for plural, on_changes in observers.items():
        for on_change in on_changes:
            stores[plural].subscribe(on_change)
            for obj in stores[plural].items():
                on_change(None, obj)
    stores["scorereports"].subscribe(_reports(market))  # those that are there already are history
    try:
        yield
    finally:
        market.clear()


def _subnets(market: MarketMetrics) -> OnChange:
    def on_change(old: Object | None, new: Object | None) -> None:
        if new is None:
            if old is not None:
                market.forget_subnet(*_key(old))
            return
        try:
            subnet = Subnet.parse(new)
        except InvalidObject:
            return
        market.report_subnet(reading_of(subnet), [str(reason) for reason in Rejection])
        if old is not None and _status(old, "committed", "number") != _status(new, "committed", "number"):
            _count_commit(market, subnet)
        if old is not None:
            _count_rejections(market, old, subnet)

    return on_change


def _conditions_of(market: MarketMetrics, plural: str) -> OnChange:
    kind, shown = SHOWN[plural]

    def on_change(old: Object | None, new: Object | None) -> None:
        obj = new or old
        if obj is not None:
            readings = [one for one in _conditions(new) if one.type in shown]
            market.report_conditions(kind, *_key(obj), readings)

    return on_change


def _reports(market: MarketMetrics) -> OnChange:
    def on_change(old: Object | None, new: Object | None) -> None:
        if old is None and new is not None and (took_s := _took_s(new)) is not None:
            for subnet in reported_subnet(new):
                market.report_filed(subnet, took_s)

    return on_change


def reading_of(subnet: Subnet) -> SubnetReading:
    """What a Subnet's spec and status say."""
    status, committed, epoch = subnet.status, subnet.status.committed, subnet.status.epoch
    number = committed.number if committed else 0
    return SubnetReading(
        namespace=subnet.metadata.namespace,
        name=subnet.metadata.name,
        committed_epoch=number,
        open_epoch=epoch.number if epoch else 0,
        epoch_length_s=subnet.spec.epoch.length_s,
        suspended=subnet.spec.suspend,
        miners_ready=status.totals.ready_miners if status.totals else 0,
        epoch_ends_at=_unix_s(epoch.ends_at) if epoch else None,
        committed_at=_unix_s(committed.committed_at) if committed else None,
        reports_expected=committed.reports.expected if committed else 0,
        reports_received=committed.reports.received if committed else 0,
        reports_rejected=committed.reports.rejected if committed else 0,
        miners=tuple(
            MinerReading(row.uid, row.namespace, row.name, row.weight, row.incentive, _decimal(row.score))
            for row in status.miners
        ),
        validators=tuple(_validator(row, number) for row in status.validators),
    )


def _validator(row: ValidatorStatus, committed: int) -> ValidatorReading:
    last = row.last_report_epoch or row.registered_epoch - 1
    return ValidatorReading(
        namespace=row.namespace,
        name=row.name,
        trust_u16=row.trust,
        dividends_u16=row.dividends,
        stake=row.stake if row.permit else 0,
        silent_epochs=max(0, committed - last),
        voted=row.last_report_epoch is not None and row.last_report_epoch == committed,
    )


def _count_commit(market: MarketMetrics, subnet: Subnet) -> None:
    committed, epoch = subnet.status.committed, subnet.status.epoch
    if committed is None or epoch is None or epoch.number != committed.number:
        return
    delay_s = _unix_s(committed.committed_at) - _unix_s(epoch.started_at)
    market.epoch_committed(subnet.metadata.namespace, subnet.metadata.name, delay_s)


def _count_rejections(market: MarketMetrics, old: Object, subnet: Subnet) -> None:
    """Count what the list of rejected reports has that it had not before."""
    known = {
        (one.get("epoch"), one.get("validator"), one.get("reason")) for one in _status(old, "rejectedReports") or ()
    }
    for report in subnet.status.rejected_reports:
        if _identity(report) not in known:
            market.report_rejected(subnet.metadata.namespace, subnet.metadata.name, report.reason)


def _identity(report: RejectedReport) -> tuple[int, str, str]:
    return (report.epoch, report.validator, report.reason)


def _conditions(obj: Object | None) -> list[ConditionReading]:
    written = _status(obj, "conditions") or () if obj is not None else ()
    return [ConditionReading(one["type"], one["status"], one["reason"]) for one in written]


def _took_s(report: Object) -> float | None:
    spec = report.get("spec") or {}
    try:
        return max(0.0, _unix_s(spec["finishedAt"]) - _unix_s(spec["startedAt"]))
    except (KeyError, TypeError, ValueError):
        return None  # not by the schema: the subnet rejects it, and says so


def _status(obj: Object, *path: str) -> Any:  # noqa: ANN401 - what only the operator writes, and the schema types
    value: Any = obj.get("status")
    for name in path:
        value = (value or {}).get(name)
    return value


def _key(obj: Object) -> tuple[str, str]:
    return (obj["metadata"]["namespace"], obj["metadata"]["name"])


def _unix_s(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def _decimal(score: str | None) -> float | None:
    return float(score) if score is not None else None
