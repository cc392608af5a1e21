"""Subnet: a market for one inference task, its rules, and the state of its consensus.

Invariants kept by schema and rules: all amounts are whole numbers, the scoring window ends before the epoch does, a
validator is named once, and its stake is given here, by the subnet's owner, and nowhere else.
"""

from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field

from assay.api.durations import DURATION_PATTERN, parse_duration_s
from assay.api.meta import LabelSelector, Namespace, NamespacedName, OwnName
from assay.api.resource import Column, Definition, Resource, name_rule
from assay.api.schema import ATOMIC, U16, Epoch, GoDuration, ListMap, Model, Rule, Timestamp, Uid, Units, cel
from assay.api.v1alpha1.common import ClaimedModel, Conditions, ObjectUid, Sha256

TaskKind: TypeAlias = Literal["Embedding", "Classification", "TextGeneration", "Tensor"]
Algorithm: TypeAlias = Literal["Yuma3", "Yuma2"]
EpochPhase: TypeAlias = Literal["Waiting", "Scoring", "Closing"]

Stake: TypeAlias = Annotated[int, Field(ge=0, le=1_000_000_000_000_000)]
"""Stake in whole units, small enough that the sum over all validators stays below 2^63."""


class Task(Model):
    """What the subnet's miners are asked to do."""

    kind: TaskKind
    """What is served; decides the comparison that validators use by default."""
    model: ClaimedModel
    """What every miner claims to serve."""


@cel(
    f"![self.length, self.scoringWindow].all(text, text.matches(r'^(?:{DURATION_PATTERN})$'))"
    " || duration(self.scoringWindow) < duration(self.length)",
    "scoringWindow must be shorter than length: reports are counted before the epoch ends; shorten scoringWindow or"
    " lengthen the epoch",
    lambda it: it.scoring_window_s < it.length_s,
    field=".scoringWindow",
)
class EpochSpec(Model):
    """The subnet's clock. One epoch ends where the next begins."""

    length: Annotated[str, GoDuration("10s", "24h")] = "5m"
    """Length of an epoch, from 10s to 24h."""
    scoring_window: Annotated[str, GoDuration("5s", "24h")] = "2m"
    """How long after the epoch opens scoring Jobs may report; shorter than `length`."""
    history_limit: Annotated[int, Field(ge=2, le=100)] = 5
    """How many epochs of reports, Jobs and bonds are kept; at least the last two."""

    @property
    def length_s(self) -> float:
        """Length in seconds."""
        return parse_duration_s(self.length)

    @property
    def scoring_window_s(self) -> float:
        """Scoring window in seconds."""
        return parse_duration_s(self.scoring_window)


@cel(
    "self.low <= self.high",
    "low must not exceed high: they bound the rate at which bonds follow weights; swap them",
    lambda it: it.low <= it.high,
    field=".low",
)
class LiquidAlpha(Model):
    """Liquid alpha: bonds follow decisive weights faster than hesitant ones."""

    enabled: bool = False
    """Whether it is used; with Yuma3 only."""
    low: U16 = 45_875
    """Slowest rate; n means n/65535."""
    high: U16 = 58_982
    """Fastest rate; n means n/65535."""
    steepness: Annotated[int, Field(ge=0, le=32_767)] = 1_000
    """Steepness of the sigmoid between the two, in hundredths."""
    consensus_source: Literal["Auto", "Current", "Previous"] = "Auto"
    """Which consensus weights are compared with; Auto takes the previous epoch's when `bondsPenalty` is 65535."""


@cel(
    "!self.liquidAlpha.enabled || self.algorithm == 'Yuma3'",
    "liquidAlpha works with algorithm Yuma3 only; set algorithm to Yuma3 or liquidAlpha.enabled to false",
    lambda it: not it.liquid_alpha.enabled or it.algorithm == "Yuma3",
    field=".liquidAlpha",
)
class ConsensusSpec(Model):
    """Parameters of Yuma Consensus; the defaults are the chain's."""

    algorithm: Algorithm = "Yuma3"
    """Yuma3, or Yuma2 for the chain's classic form."""
    kappa: U16 = 32_767
    """Share of stake that must agree on a weight; n means n/65535."""
    bonds_moving_average: Annotated[int, Field(ge=0, le=1_000_000)] = 900_000
    """How much of the old bonds is kept each epoch, in millionths."""
    bonds_penalty: U16 = 65_535
    """How much weight above the consensus is taken from bonds; n means n/65535."""
    liquid_alpha: LiquidAlpha = LiquidAlpha()
    """Rates of bonds that depend on how decisive a weight is."""
    max_validators: Annotated[int, Field(ge=1, le=256)] = 64
    """How many validators, by stake, have a permit: only theirs are counted."""
    activity_cutoff_epochs: Annotated[int, Field(ge=1, le=1_000_000)] = 14
    """After how many epochs without a report a validator's stake stops counting."""


class Emission(Model):
    """What the subnet pays. Amounts are split exactly: nothing is lost, nothing created."""

    per_epoch: Units = 1_000_000_000
    """Units paid each epoch."""
    owner_cut: U16 = 11_796
    """The owner's share of them; n means n/65535."""


@cel(
    "(self.from == 'Selector') == has(self.selector)",
    "selector belongs to from: Selector; add a selector, or set from to Same or All and remove the selector",
    lambda it: (it.from_ == "Selector") == (it.selector is not None),
    field=".selector",
)
class AllowedNamespaces(Model):
    """Which namespaces' ModelDeployments may join."""

    from_: Annotated[Literal["Same", "All", "Selector"], Field(alias="from")] = "Same"
    """Same: the Subnet's own namespace; All: every namespace; Selector: namespaces with the labels selected."""
    selector: LabelSelector | None = None
    """Selects namespaces by their labels, with from: Selector."""


class Members(Model):
    """Who may be a miner of the subnet."""

    max_miners: Annotated[int, Field(ge=1, le=4096)] = 256
    """How many miners there may be; a newcomer replaces the one with the least emission."""
    immunity_epochs: Annotated[int, Field(ge=0, le=1_000_000)] = 3
    """For how many epochs a new miner cannot be replaced while there is another to replace."""
    allowed_namespaces: AllowedNamespaces = AllowedNamespaces()
    """Which namespaces' ModelDeployments may join."""


class PolicyRef(Model):
    """Reference to a ValidatorPolicy, always with its namespace: stake goes to exactly one."""

    namespace: Namespace
    """Namespace of the ValidatorPolicy."""
    name: OwnName
    """Name of the ValidatorPolicy."""

    @property
    def namespaced_name(self) -> NamespacedName:
        """Namespace and name together."""
        return NamespacedName(self.namespace, self.name)


class ValidatorStake(Model):
    """One validator, and the stake the subnet's owner gives it."""

    policy_ref: PolicyRef
    """The validator's ValidatorPolicy."""
    stake: Stake
    """Its stake: a whole number of units."""


ValidatorStakes: TypeAlias = Annotated[
    tuple[ValidatorStake, ...],
    Field(strict=False, max_length=256),
    ATOMIC,
    Rule(
        # whole references, not their strings: comparing strings costs by their length, 256 x 256 times
        "self.all(a, self.exists_one(b, a.policyRef == b.policyRef))",
        "each policyRef may appear once: a validator has one stake; merge the entries",
        lambda entries: len({entry.policy_ref for entry in entries}) == len(entries),
    ),
]


class SubnetSpec(Model):
    """What the subnet's owner wants."""

    task: Task
    """The inference task."""
    epoch: EpochSpec = EpochSpec()
    """The clock."""
    consensus: ConsensusSpec = ConsensusSpec()
    """Parameters of the consensus."""
    emission: Emission = Emission()
    """What is paid."""
    members: Members = Members()
    """Who may be a miner."""
    validators: ValidatorStakes = ()
    """The validators and their stakes: the owner's to give, never the validator's to claim."""
    suspend: bool = False
    """Whether the clock stands still: no epoch opens while it is true; nothing is deleted."""


class EpochStatus(Model):
    """The epoch that is open."""

    number: Epoch
    """Its number; the first is 1."""
    phase: EpochPhase
    """Waiting: nobody to score yet; Scoring: Jobs run; Closing: reports are counted."""
    started_at: Timestamp
    """When it opened."""
    scoring_deadline: Timestamp
    """Until when reports are taken."""
    ends_at: Timestamp
    """When the next one opens."""


class ReportCounts(Model):
    """How many reports an epoch had."""

    expected: Annotated[int, Field(ge=0, le=65_535)] = 0
    """Validators that were asked."""
    received: Annotated[int, Field(ge=0, le=65_535)] = 0
    """Reports that counted."""
    rejected: Annotated[int, Field(ge=0, le=65_535)] = 0
    """Reports that were refused; see `rejectedReports`."""


class BondChunk(Model):
    """One immutable, content-addressed piece of the bonds."""

    name: Annotated[str, Field(min_length=1, max_length=253)]
    """Name of the ConfigMap that holds it."""
    sha256: Annotated[str, Field(max_length=64)]
    """SHA-256 of its bytes, in hexadecimal."""


class CommittedEpoch(Model):
    """The last epoch that counted; written once per epoch."""

    number: Epoch
    """Its number."""
    committed_at: Timestamp
    """When it was committed."""
    reports: ReportCounts = ReportCounts()
    """How many reports it had."""
    inputs_digest: Sha256
    """Digest of the sorted reports and the previous state: anyone can recompute the epoch from them."""
    state_digest: Sha256
    """Digest of the state that resulted."""
    bonds: Annotated[tuple[BondChunk, ...], Field(strict=False, max_length=64), ATOMIC] = ()
    """Where the bonds are."""


class MinerStatus(Model):
    """One miner of the subnet, with what the last commit gave it."""

    uid: Uid
    """Its number in the subnet; miners and validators share one numbering."""
    namespace: Annotated[str, Field(max_length=63)]
    """Namespace of its ModelDeployment."""
    name: Annotated[str, Field(max_length=253)]
    """Name of its ModelDeployment."""
    object_uid: ObjectUid = ""
    """UID of the ModelDeployment: a recreated object is a new miner."""
    registered_epoch: Epoch = 0
    """Epoch in which it joined."""
    immune_until_epoch: Epoch = 0
    """First epoch in which it may be replaced."""
    weight: U16 = 0
    """Consensus weight; n means n/65535."""
    incentive: U16 = 0
    """Share it is paid by; n means n/65535."""
    emission: Units = 0
    """Units paid for the last committed epoch."""
    score: Annotated[str, Field(max_length=32)] | None = None
    """Quality as the stake-weighted lower median of its validators has it, from 0 to 1, as a decimal."""
    validators: Annotated[int, Field(ge=0, le=65_535)] | None = None
    """How many validators scored it."""


class ValidatorStatus(Model):
    """One validator of the subnet, with what the last commit gave it."""

    uid: Uid
    """Its number in the subnet; miners and validators share one numbering."""
    namespace: Annotated[str, Field(max_length=63)]
    """Namespace of its ValidatorPolicy."""
    name: Annotated[str, Field(max_length=253)]
    """Name of its ValidatorPolicy."""
    object_uid: ObjectUid = ""
    """UID of the ValidatorPolicy: a recreated object is a new validator."""
    stake: Stake = 0
    """Stake given by the subnet's owner."""
    permit: bool = False
    """Whether its reports count."""
    trust: U16 = 0
    """How much of its weight the consensus shared; n means n/65535."""
    dividends: U16 = 0
    """Share it is paid by; n means n/65535."""
    emission: Units = 0
    """Units paid for the last committed epoch."""
    registered_epoch: Epoch = 0
    """Epoch in which it joined."""
    last_report_epoch: Epoch | None = None
    """Last epoch in which a report of it counted."""


PackedColumn: TypeAlias = Annotated[str, Field(max_length=10_924)]
"""Base64 of up to 4,096 little-endian u16."""


class PackedMiners(Model):
    """The miners as columns of equal length, for subnets of more than 256: base64 of little-endian u16."""

    uids: PackedColumn = ""
    """Their numbers."""
    consensus: PackedColumn = ""
    """Their consensus weights."""
    incentive: PackedColumn = ""
    """The shares they are paid by."""


class SubnetTotals(Model):
    """Sums over the subnet."""

    miners: Annotated[int, Field(ge=0, le=65_535)] = 0
    """Miners that hold a number."""
    ready_miners: Annotated[int, Field(ge=0, le=65_535)] = 0
    """Miners that can be asked now."""
    validators: Annotated[int, Field(ge=0, le=65_535)] = 0
    """Validators that hold a number."""
    active_stake: Units = 0
    """Stake that counts in the consensus."""


class RejectedReport(Model):
    """A report that did not count, and why."""

    epoch: Epoch
    """Epoch it was filed for."""
    validator: Annotated[str, Field(max_length=317)]
    """Namespace and name of the validator."""
    reason: Annotated[str, Field(min_length=1, max_length=64)]
    """One word from the documented set."""
    message: Annotated[str, Field(max_length=1024)] = ""
    """What was seen, what was expected and what to do about it."""


class SubnetStatus(Model):
    """What the operator saw and decided."""

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """Generation of the spec this was computed from."""
    epoch: EpochStatus | None = None
    """The epoch that is open."""
    committed: CommittedEpoch | None = None
    """The last epoch that counted."""
    miners: Annotated[tuple[MinerStatus, ...], Field(strict=False, max_length=256), ListMap("uid")] = ()
    """The miners, in full up to 256; beyond, see `packed`."""
    validators: Annotated[tuple[ValidatorStatus, ...], Field(strict=False, max_length=256), ListMap("uid")] = ()
    """The validators."""
    packed: PackedMiners | None = None
    """The miners as packed columns, when there are more than 256."""
    totals: SubnetTotals | None = None
    """Sums."""
    rejected_reports: Annotated[tuple[RejectedReport, ...], Field(strict=False, max_length=16), ATOMIC] = ()
    """The latest reports that did not count."""
    conditions: Conditions = ()
    """Ready, MinersReady, ValidatorsReady, EpochAdvancing and ConsensusFresh."""


@name_rule(52, "its children's names begin with it")
class Subnet(Resource):
    """A market for one inference task: miners serve it, validators judge them, the consensus pays."""

    DEFINITION: ClassVar[Definition] = Definition(
        kind="Subnet",
        plural="subnets",
        short_name="sn",
        columns=(
            Column("Epoch", ".status.epoch.number", "integer", description="The epoch that is open"),
            Column("Phase", ".status.epoch.phase", description="What the epoch is waiting for"),
            Column("Ready Miners", ".status.totals.readyMiners", "integer", description="Miners that can be asked now"),
            Column("Miners", ".status.totals.miners", "integer", description="Miners that hold a number"),
            Column("Validators", ".status.totals.validators", "integer", description="Validators that hold a number"),
            Column("Ready", '.status.conditions[?(@.type=="Ready")].status', description="Whether the subnet works"),
            Column("Committed", ".status.committed.number", "integer", 1, "The last epoch that counted"),
            Column("Reports", ".status.committed.reports.received", "integer", 1, "Reports that counted in it"),
            Column("Age", ".metadata.creationTimestamp", "date"),
        ),
    )

    spec: SubnetSpec
    status: SubnetStatus = SubnetStatus()
