"""The last committed epoch once more, from what is in the cluster, through the very code that committed it.

Owns the search for the commit's inputs and the comparison of its digests. Must never call an epoch reproduced that is
not, digit by digit: a digest that cannot be recomputed is told with the input that is missing.

The commit of epoch N rests on the reports of N, the bonds of N-1, and the state that N-1 left. That state is in no
object any more; it is recomputed from the reports of N-1 and the bonds of N-2, and the bonds that this gives are those
of N-1 in the cluster or it does not count.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from assay.api import CommittedEpoch, MinerStatus, ScoreReport, ValidatorStatus
from assay.desired.bonds import NO_BONDS, Bonds, Holder
from assay.inspection.market import Market
from assay.planning.commit import Ballot, Commit, close_epoch
from assay.planning.membership import Roster
from assay.planning.reports import Judged, expected_name


@dataclass(frozen=True)
class Comparison:
    """One digest of the commit. `recomputed` is None where an input is missing."""

    what: str
    committed: str
    recomputed: str | None

    @property
    def same(self) -> bool:
        """Whether it was recomputed and is equal."""
        return self.recomputed == self.committed


@dataclass(frozen=True)
class Replay:
    """What came out. `missing` names inputs that are gone, `changed` what may explain a difference."""

    epoch: int
    committed_at: str
    verdict: str
    comparisons: tuple[Comparison, ...]
    inputs: tuple[str, ...]
    missing: tuple[str, ...]
    changed: tuple[str, ...]


REPRODUCED, DIFFERENT, INCOMPLETE = "Reproduced", "Different", "InputMissing"


@dataclass(frozen=True)
class Before:
    """What an epoch left: digest of its state, and its consensus weights by UID."""

    digest: str
    weights: Mapping[int, int]


def replay(market: Market) -> Replay:
    """Recompute the last commit and compare. Raises NotFoundIn if there was none."""
    committed = market.committed
    missing = _missing_reports(market, committed.number)
    kept = _kept_bonds(market, committed)
    if not kept:
        missing.append(_no_bonds(market, committed.number))
    roster, gone = roster_of(market, kept[0].holders) if kept else (roster_now(market), [])
    missing += gone
    starts = bonds_before(market, committed.number)
    if not starts:
        missing.append(_no_bonds(market, committed.number - 1))
    before, lacking = state_before(market, committed.number, starts)
    commit = None if missing else _best(market, roster, starts, committed, before)
    comparisons = _comparisons(market, committed, commit, before)
    differs = any(one.recomputed is not None and not one.same for one in comparisons)
    missing += [] if differs else lacking
    verdict = DIFFERENT if differs else INCOMPLETE if missing else REPRODUCED
    return Replay(
        epoch=committed.number,
        committed_at=committed.committed_at,
        verdict=verdict,
        comparisons=tuple(comparisons),
        inputs=tuple(_inputs(market, roster, committed.number, starts)),
        missing=tuple(missing),
        changed=tuple(_changed(market, roster, committed)) if differs or missing else (),
    )


def roster_now(market: Market) -> Roster:
    """The rows as the status has them."""
    return Roster(market.subnet.status.miners, market.subnet.status.validators)


def roster_of(market: Market, holders: Iterable[Holder]) -> tuple[Roster, list[str]]:
    """The rows of those who held a UID when bonds were made, and a sentence for each who holds it no longer."""
    held = set(holders)
    now = roster_now(market)
    gone = held - {_holder(row) for row in now.rows}
    left = [
        f"row of UID {one.uid}: the object {one.object_uid}, a member since epoch {one.registered_epoch}, left after"
        " the commit, and a status has rows of members only"
        for one in sorted(gone, key=lambda one: one.uid)
    ]
    return (
        Roster(
            tuple(row for row in now.miners if _holder(row) in held),
            tuple(row for row in now.validators if _holder(row) in held),
        ),
        left,
    )


def bonds_before(market: Market, epoch: int) -> list[Bonds]:
    """The bonds from which the commit of `epoch` may have started; empty if they are gone."""
    return [NO_BONDS] if epoch == 1 else market.bonds_after(epoch - 1)


def judged_in(market: Market, roster: Roster, epoch: int) -> Judged:
    """The reports that counted in `epoch`, told by the rows' last report."""
    fresh = {row.uid: _report(market, row, epoch) for row in roster.validators if row.last_report_epoch == epoch}
    return Judged({uid: report for uid, report in fresh.items() if report is not None}, ())


def ballots_in(market: Market, roster: Roster, epoch: int) -> dict[int, Ballot]:
    """Each validator's vote in `epoch` by UID: its report of that epoch, or an older one within the cutoff."""
    cutoff = market.subnet.spec.consensus.activity_cutoff_epochs
    found = {}
    for row in roster.validators:
        last = row.last_report_epoch
        if last and epoch - last <= cutoff and (report := _report(market, row, last)) is not None:
            found[row.uid] = Ballot(last, report)
    return found


def recompute(
    market: Market, roster: Roster, bonds: Bonds, epoch: int, *, previous_digest: str = "", committed_at: str = ""
) -> Commit:
    """Close `epoch` again. The rows' weights must be those of the epoch before."""
    reports = dict(market.reports)
    now = datetime.fromisoformat(committed_at or market.committed.committed_at)
    earlier = market.committed.model_copy(update={"state_digest": previous_digest}) if previous_digest else None
    status = market.subnet.status.model_copy(update={"committed": earlier})
    subnet = market.subnet.model_copy(update={"status": status})
    return close_epoch(subnet, roster, judged_in(market, roster, epoch), reports, bonds, epoch=epoch, now=now)


def _best(
    market: Market, roster: Roster, starts: list[Bonds], committed: CommittedEpoch, before: Before | None
) -> Commit:
    """The recomputation that comes closest; there is more than one start only after a crash."""
    weighed = with_weights(roster, before.weights if before else {})
    digest = before.digest if before else ""
    commits = [recompute(market, weighed, start, committed.number, previous_digest=digest) for start in starts]
    wanted = [chunk.sha256 for chunk in committed.bonds]
    return min(commits, key=lambda commit: [chunk.sha256 for chunk in commit.chunks] != wanted)


def _comparisons(
    market: Market, committed: CommittedEpoch, commit: Commit | None, before: Before | None
) -> list[Comparison]:
    # With liquid alpha the weights of the epoch before may go into the bonds, so without them nothing can be compared.
    without_past = before is not None or not market.subnet.spec.consensus.liquid_alpha.enabled
    usable = commit if without_past else None
    inputs = usable.committed.inputs_digest if usable and before is not None else None
    return [
        Comparison("inputs", committed.inputs_digest, inputs),
        Comparison("state", committed.state_digest, usable.committed.state_digest if usable else None),
        Comparison(
            "bonds",
            " ".join(chunk.sha256 for chunk in committed.bonds),
            " ".join(chunk.sha256 for chunk in usable.chunks) if usable else None,
        ),
    ]


def state_before(market: Market, epoch: int, ends: list[Bonds]) -> tuple[Before | None, list[str]]:
    """What `epoch - 1` left, whose bonds are one of `ends`, or which inputs of it are missing."""
    if epoch == 1:
        return Before("", {}), []
    lost: list[str] = []
    for end in ends:
        roster, lost = _past_roster(market, end, epoch - 1)
        starts = bonds_before(market, epoch - 1)
        if not starts:
            lost.append(_no_bonds(market, epoch - 2))
        if lost:
            continue
        for start in starts:
            commit = recompute(market, with_weights(roster, _weights(market, start, epoch - 2)), start, epoch - 1)
            if market.bonds_after(epoch - 1) and _same_bonds(commit, market, epoch - 1):
                weights = {row.uid: row.weight for row in commit.roster.miners}
                return Before(commit.committed.state_digest, weights), []
        recipe = f"recomputed from the reports of epoch {epoch - 1} and the bonds of epoch {epoch - 2}"
        lost = [f"state of epoch {epoch - 1}: {recipe} it gives other bonds than epoch {epoch - 1} left"]
    return None, lost


def _weights(market: Market, bonds: Bonds, epoch: int) -> dict[int, int]:
    """Consensus weights of an epoch by UID. They rest on reports and stakes alone, so any bonds will do."""
    if epoch < 1 or not market.subnet.spec.consensus.liquid_alpha.enabled:
        return {}
    roster, _ = _past_roster(market, bonds, epoch)
    commit = recompute(market, roster, NO_BONDS, epoch)
    return {row.uid: row.weight for row in commit.roster.miners}


def _past_roster(market: Market, bonds: Bonds, epoch: int) -> tuple[Roster, list[str]]:
    """The roster at the commit of `epoch`, whose bonds are given, each validator with the last report it had then."""
    roster, lost = roster_of(market, bonds.holders)
    rows = []
    for row in roster.validators:
        last = _last_report(market, row, epoch)
        if last is None and row.last_report_epoch is not None and _first_kept(market, row) > row.registered_epoch:
            lost.append(
                f"last report of validator {row.namespace}/{row.name} up to epoch {epoch}: none is kept, and older ones"
                " were collected (spec.epoch.historyLimit)"
            )
        rows.append(row.model_copy(update={"last_report_epoch": last}))
    return Roster(roster.miners, tuple(rows)), lost


def _last_report(market: Market, row: ValidatorStatus, epoch: int) -> int | None:
    if row.last_report_epoch is not None and row.last_report_epoch <= epoch:
        return row.last_report_epoch
    refused = {(one.epoch, one.validator) for one in market.subnet.status.rejected_reports}
    kept = [
        report.spec.epoch
        for report in market.reports.values()
        if report.spec.epoch <= epoch
        and report.spec.failure is None
        and report.metadata.namespace == row.namespace
        and report.metadata.name == expected_name(market.subnet, row, report.spec.epoch)
        and (report.spec.epoch, f"{row.namespace}/{row.name}") not in refused
    ]
    return max(kept, default=None)


def _first_kept(market: Market, row: ValidatorStatus) -> int:
    kept = [report.spec.epoch for report in market.reports.values() if report.spec.validator.uid == row.object_uid]
    return min(kept, default=market.committed.number + 1)


def _same_bonds(commit: Commit, market: Market, epoch: int) -> bool:
    kept = {chunk.sha256 for chunk in market.chunks if chunk.epoch == epoch}
    return {chunk.sha256 for chunk in commit.chunks} <= kept


def _kept_bonds(market: Market, committed: CommittedEpoch) -> list[Bonds]:
    wanted = {chunk.sha256 for chunk in committed.bonds}
    there = {chunk.sha256 for chunk in market.chunks if chunk.epoch == committed.number}
    return market.bonds_after(committed.number) if wanted <= there else []


def _no_bonds(market: Market, epoch: int) -> str:
    where = market.subnet.metadata.namespace
    altered = market.altered(epoch)
    if altered:
        return f"bonds of epoch {epoch}: ConfigMap {where}/{altered[0]} was altered: its content has another digest"
    kept = market.subnet.spec.epoch.history_limit
    committed = market.committed.number
    why = f"{kept} epochs are kept (spec.epoch.historyLimit)" if epoch <= committed - max(2, kept) else "deleted"
    return f"bonds of epoch {epoch}: no ConfigMap in namespace {where} labelled assay.dev/epoch={epoch} has them; {why}"


def _missing_reports(market: Market, epoch: int) -> list[str]:
    """Reports that counted in `epoch` itself and are gone."""
    return [
        f"report of validator {row.namespace}/{row.name} for epoch {epoch}: there is no ScoreReport"
        f" {row.namespace}/{expected_name(market.subnet, row, epoch)}"
        for row in market.subnet.status.validators
        if row.last_report_epoch == epoch and _report(market, row, epoch) is None
    ]


def _inputs(market: Market, roster: Roster, epoch: int, starts: list[Bonds]) -> Iterable[str]:
    for uid, ballot in sorted(ballots_in(market, roster, epoch).items()):
        yield f"report {ballot.report.metadata.namespaced_name} (UID {uid}, epoch {ballot.epoch})"
    for chunk in market.chunks:
        if starts and chunk.epoch == epoch - 1:
            yield f"bonds ConfigMap {market.subnet.metadata.namespace}/{chunk.name} (epoch {chunk.epoch})"
    rows = f"rows of {len(roster.miners)} miners and {len(roster.validators)} validators"
    yield f"{rows}, and spec of {market.subnet.subject}"


def _changed(market: Market, roster: Roster, committed: CommittedEpoch) -> Iterable[str]:
    """What may have changed since the commit."""
    if market.spec_changed_at > committed.committed_at:
        yield (
            f"the spec was changed at {market.spec_changed_at}, after the commit: stakes and parameters of the commit"
            " are no longer known"
        )
    cutoff = market.subnet.spec.consensus.activity_cutoff_epochs
    for row in roster.validators:
        last = row.last_report_epoch
        if last and last < committed.number <= last + cutoff and _report(market, row, last) is None:
            yield f"the vote of validator {row.namespace}/{row.name} is of epoch {last}; its ScoreReport is gone"
    yield from market.unreadable


def with_weights(roster: Roster, weights: Mapping[int, int]) -> Roster:
    """The rows with these consensus weights by UID."""
    miners = tuple(row.model_copy(update={"weight": weights.get(row.uid, 0)}) for row in roster.miners)
    return Roster(miners, roster.validators)


def _report(market: Market, row: ValidatorStatus, epoch: int) -> ScoreReport | None:
    return market.reports.get(f"{row.namespace}/{expected_name(market.subnet, row, epoch)}")


def _holder(row: MinerStatus | ValidatorStatus) -> Holder:
    return Holder(row.uid, row.object_uid, row.registered_epoch)
