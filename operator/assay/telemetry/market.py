"""What is told of subnets, miners and validators as metrics: one series an object, gone with it.

Owns names and labels of everything that is about users' objects. It must never hold a series whose object is gone, nor
one that a user can make unboundedly many of: a miner or validator is shown while it has a row in its subnet, rejected
reports are counted by the closed set of reasons and not by who filed them, and an object has one series for each
condition, not one for each reason it ever had. Invariant: a process that does not lead shows none of it (`clear`),
since what it knows grows old.
"""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from assay.telemetry.series import ObjectSeries, Series

U16_MAX = 65535
HALF_U16 = 32767
REPORT_BUCKETS_S = (1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)


@dataclass(frozen=True, slots=True)
class MinerReading:
    """What the last committed epoch says of a miner; u16 fixed point, 65535 is all of it. `score` is 0 to 1."""

    uid: int
    namespace: str
    name: str
    weight_u16: int
    incentive_u16: int
    score: float | None = None


@dataclass(frozen=True, slots=True)
class ValidatorReading:
    """What the last committed epoch says of a validator; u16 fixed point, 65535 is all of it.

    `stake` counts units, and is 0 for one whose reports do not count. `silent_epochs` are the epochs committed since
    its last report that counted, or since it joined; `voted` tells whether the last one had a report of it.
    """

    namespace: str
    name: str
    trust_u16: int
    dividends_u16: int
    stake: int = 0
    silent_epochs: int = 0
    voted: bool = True


@dataclass(frozen=True, slots=True)
class SubnetReading:
    """What a Subnet's spec and status say. Moments are in Unix seconds; None is what has not happened yet."""

    namespace: str
    name: str
    committed_epoch: int
    open_epoch: int
    epoch_length_s: float
    suspended: bool
    miners_ready: int = 0
    epoch_ends_at: float | None = None
    committed_at: float | None = None
    reports_expected: int = 0
    reports_received: int = 0
    reports_rejected: int = 0
    miners: tuple[MinerReading, ...] = ()
    validators: tuple[ValidatorReading, ...] = ()


@dataclass(frozen=True, slots=True)
class ConditionReading:
    """One condition of an object as its status has it."""

    type: str
    status: str
    reason: str


class MarketMetrics:
    """The gauges and counters of the market, on the registry given."""

    def __init__(self, registry: CollectorRegistry) -> None:
        r, subnet = registry, ["namespace", "subnet"]
        self.subnet_epoch = Gauge("assay_subnet_epoch", "The last epoch committed.", subnet, registry=r)
        self.open_epoch = Gauge("assay_subnet_open_epoch", "The last epoch opened.", subnet, registry=r)
        self.epoch_length = Gauge("assay_subnet_epoch_length_seconds", "Length of an epoch.", subnet, registry=r)
        self.epoch_end = Gauge(
            "assay_subnet_epoch_end_timestamp_seconds",
            "When the last opened epoch ends and the next one is due; it is overdue once this lies in the past.",
            subnet,
            registry=r,
        )
        self.committed_at = Gauge(
            "assay_subnet_committed_timestamp_seconds", "When the last epoch was committed.", subnet, registry=r
        )
        self.suspended = Gauge("assay_subnet_suspended", "1 while spec.suspend stops the clock.", subnet, registry=r)
        self.miners = Gauge("assay_subnet_miners", "Miners that hold a number.", subnet, registry=r)
        self.miners_ready = Gauge("assay_subnet_miners_ready", "Miners that can be asked now.", subnet, registry=r)
        self.validators = Gauge("assay_subnet_validators", "Validators that hold a number.", subnet, registry=r)
        self.reports_expected = Gauge(
            "assay_subnet_reports_expected", "Validators asked in the last committed epoch.", subnet, registry=r
        )
        self.reports_received = Gauge(
            "assay_subnet_reports_received", "Reports that counted in the last committed epoch.", subnet, registry=r
        )
        self.reports_rejected = Gauge(
            "assay_subnet_reports_rejected", "Reports refused in the last committed epoch.", subnet, registry=r
        )
        self.coalition = Gauge(
            "assay_subnet_coalition_stake_ratio",
            "Largest share of the stake that acts as one, 0 to 1: of one namespace, or of all whose trust is below"
            " one half (dissent).",
            [*subnet, "coalition"],
            registry=r,
        )
        self.epochs_committed = Counter("assay_epochs_committed_total", "Epochs committed.", subnet, registry=r)
        self.commit_delay = Gauge(
            "assay_epoch_commit_delay_seconds",
            "How long after its opening the last epoch was committed.",
            subnet,
            registry=r,
        )
        self.rejections = Counter(
            "assay_reports_rejected_total", "Reports that did not count, by reason.", [*subnet, "reason"], registry=r
        )
        self.report_time = Histogram(
            "assay_report_duration_seconds",
            "How long scorers took for the reports that they filed.",
            subnet,
            buckets=REPORT_BUCKETS_S,
            registry=r,
        )
        miner = [*subnet, "uid", "miner_namespace", "miner"]
        self.miner_weight = Gauge("assay_miner_weight_ratio", "Consensus weight of a miner, 0 to 1.", miner, registry=r)
        self.miner_incentive = Gauge(
            "assay_miner_incentive_ratio", "Share of the incentive, 0 to 1.", miner, registry=r
        )
        self.miner_score = Gauge(
            "assay_miner_score_ratio",
            "Quality measured, 0 to 1; the median by stake. Absent if nobody measured it.",
            miner,
            registry=r,
        )
        validator = [*subnet, "validator_namespace", "validator"]
        self.validator_trust = Gauge(
            "assay_validator_trust_ratio", "Trust in a validator, 0 to 1.", validator, registry=r
        )
        self.validator_dividends = Gauge(
            "assay_validator_dividends_ratio", "Share of the dividends, 0 to 1.", validator, registry=r
        )
        self.validator_stake = Gauge(
            "assay_validator_stake_ratio", "Share of the stake that has a permit, 0 to 1.", validator, registry=r
        )
        self.validator_silence = Gauge(
            "assay_validator_silent_epochs",
            "Epochs committed since the last report of a validator that counted.",
            validator,
            registry=r,
        )
        self.condition = Gauge(
            "assay_condition",
            "1 for each condition of an object, with its status and reason of now: all of a Subnet, Ready of a"
            " ModelDeployment, Ready and Scoring of a ValidatorPolicy.",
            ["kind", "namespace", "name", "type", "status", "reason"],
            registry=r,
        )
        self._by_subnet = (self.epochs_committed, self.commit_delay, self.rejections, self.report_time)
        self._subnets = ObjectSeries()
        self._conditions = ObjectSeries()

    def report_subnet(self, reading: SubnetReading, reasons: Iterable[str] = ()) -> None:
        """Show a subnet's state, and drop the series of miners and validators that left.

        `reasons` are those by which reports can be rejected. Counters begin at zero here, and not with the first event:
        what first appears as 1 never grew, as Prometheus sees it.
        """
        key = (reading.namespace, reading.name)
        self._subnets.replace(key, self._of_subnet(reading) | self._of_miners(reading) | self._of_validators(reading))
        self.epochs_committed.labels(*key)
        for reason in reasons:
            self.rejections.labels(*key, reason)

    def epoch_committed(self, namespace: str, subnet: str, delay_s: float) -> None:
        """Count a commit that came `delay_s` seconds after its epoch opened."""
        self.epochs_committed.labels(namespace, subnet).inc()
        self.commit_delay.labels(namespace, subnet).set(delay_s)

    def report_rejected(self, namespace: str, subnet: str, reason: str) -> None:
        """Count a report that did not count."""
        self.rejections.labels(namespace, subnet, reason).inc()

    def report_filed(self, subnet: Hashable, took_s: float) -> None:
        """Note how long a scorer took, by (namespace, name) of the subnet; one that is not shown is left out."""
        if subnet in self._subnets and isinstance(subnet, tuple):
            self.report_time.labels(*subnet).observe(took_s)

    def forget_subnet(self, namespace: str, subnet: str) -> None:
        """Drop every series of a subnet that was deleted."""
        self._subnets.forget((namespace, subnet))
        for metric in self._by_subnet:
            metric.remove_by_labels({"namespace": namespace, "subnet": subnet})

    def report_conditions(self, kind: str, namespace: str, name: str, conditions: Iterable[ConditionReading]) -> None:
        """Show the conditions of an object; without any its series go, as when it was deleted."""
        wanted: dict[Series, float] = {
            (self.condition, (kind, namespace, name, one.type, one.status, one.reason)): 1.0 for one in conditions
        }
        if wanted:
            self._conditions.replace((kind, namespace, name), wanted)
        else:
            self._conditions.forget((kind, namespace, name))

    def clear(self) -> None:
        """Drop every series: whoever leads now shows them."""
        self._subnets.forget_all()
        self._conditions.forget_all()
        for metric in self._by_subnet:
            metric.clear()

    def _of_subnet(self, reading: SubnetReading) -> dict[Series, float]:
        key = (reading.namespace, reading.name)
        values: dict[Gauge, float | None] = {
            self.subnet_epoch: reading.committed_epoch,
            self.open_epoch: reading.open_epoch,
            self.epoch_length: reading.epoch_length_s,
            self.epoch_end: reading.epoch_ends_at,
            self.committed_at: reading.committed_at,
            self.suspended: reading.suspended,
            self.miners: len(reading.miners),
            self.miners_ready: reading.miners_ready,
            self.validators: len(reading.validators),
            self.reports_expected: reading.reports_expected,
            self.reports_received: reading.reports_received,
            self.reports_rejected: reading.reports_rejected,
        }
        series: dict[Series, float] = {(gauge, key): value for gauge, value in values.items() if value is not None}
        for coalition, ratio in coalitions(reading.validators).items():
            series[self.coalition, (*key, coalition)] = ratio
        return series

    def _of_miners(self, reading: SubnetReading) -> dict[Series, float]:
        series: dict[Series, float] = {}
        for row in reading.miners:
            labels = (reading.namespace, reading.name, str(row.uid), row.namespace, row.name)
            series[self.miner_weight, labels] = row.weight_u16 / U16_MAX
            series[self.miner_incentive, labels] = row.incentive_u16 / U16_MAX
            if row.score is not None:
                series[self.miner_score, labels] = row.score
        return series

    def _of_validators(self, reading: SubnetReading) -> dict[Series, float]:
        series: dict[Series, float] = {}
        whole = sum(row.stake for row in reading.validators)
        for row in reading.validators:
            labels = (reading.namespace, reading.name, row.namespace, row.name)
            series[self.validator_trust, labels] = row.trust_u16 / U16_MAX
            series[self.validator_dividends, labels] = row.dividends_u16 / U16_MAX
            series[self.validator_stake, labels] = row.stake / whole if whole else 0.0
            series[self.validator_silence, labels] = row.silent_epochs
        return series


def coalitions(validators: Iterable[ValidatorReading]) -> dict[str, float]:
    """Shares of the stake, 0 to 1, that act as one or look as if they did.

    `namespace`: the most that one namespace holds. `dissent`: what those hold who voted in the last epoch and whose
    trust is below one half, that is, most of whose weight the consensus does not share; a cabal short of kappa shows
    itself so. Empty without stake.
    """
    rows = tuple(validators)
    whole = sum(row.stake for row in rows)
    if not whole:
        return {}
    parties: dict[str, int] = {}
    for row in rows:
        parties[row.namespace] = parties.get(row.namespace, 0) + row.stake
    dissent = sum(row.stake for row in rows if row.voted and row.trust_u16 < HALF_U16)
    return {"namespace": max(parties.values()) / whole, "dissent": dissent / whole}
