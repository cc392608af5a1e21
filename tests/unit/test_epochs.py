"""The epoch clock."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from assay.epochs import NEVER, Epoch, is_closed, is_due, opened

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def first() -> Epoch:
    return opened(NOON, NEVER, length_s=60, scoring_window_s=40)


def test_the_first_epoch_may_open_at_once() -> None:
    assert is_due(NOON, NEVER, committed=0)
    assert first() == Epoch(1, NOON, after(40), after(60))


def test_an_epoch_that_is_not_committed_keeps_the_next_one_waiting_however_late() -> None:
    assert not is_due(after(600), first(), committed=0)


def test_an_epoch_is_not_over_before_its_end_though_committed() -> None:
    assert not is_due(after(59.9), first(), committed=1)
    assert is_due(after(60), first(), committed=1)


def test_an_opening_that_is_a_little_late_does_not_shift_the_clock() -> None:
    assert opened(after(63), first(), length_s=60, scoring_window_s=40).started_at == after(60)


def test_after_a_long_absence_the_next_epoch_begins_now() -> None:
    late = opened(after(500), first(), length_s=60, scoring_window_s=40)
    assert (late.number, late.started_at) == (2, after(500))


def test_an_epoch_closes_at_its_deadline_or_when_nothing_is_missing() -> None:
    assert not is_closed(after(39), first(), reports_missing=1)
    assert is_closed(after(40), first(), reports_missing=1)
    assert is_closed(after(1), first(), reports_missing=0)


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=30))
def test_numbers_grow_by_one_and_epochs_never_overlap(waits_s: list[float]) -> None:
    now, epoch = NOON, NEVER
    for wait_s in waits_s:
        now += timedelta(seconds=wait_s)
        if not is_due(now, epoch, committed=epoch.number):
            continue
        following = opened(now, epoch, length_s=60, scoring_window_s=40)
        assert following.number == epoch.number + 1
        assert following.started_at is not None
        assert following.ends_at is not None
        assert epoch.ends_at is None or following.started_at >= epoch.ends_at
        assert following.ends_at > now
        epoch = following
