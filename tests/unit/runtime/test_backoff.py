"""Backoff doubles, is capped, spreads, and forgets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.runtime.backoff import Backoff, KeyedBackoff, delay_s


@pytest.mark.parametrize(
    ("failures", "expected_s"),
    [(1, 0.05), (2, 0.1), (3, 0.2), (12, 102.4), (13, 204.8), (14, 300), (1000, 300), (10**9, 300)],
)
def test_without_jitter_the_delay_doubles_up_to_the_cap(failures: int, expected_s: float) -> None:
    assert delay_s(failures, base_s=0.05, cap_s=300, jitter=1.0) == pytest.approx(expected_s)


@given(failures=st.integers(1, 10_000), jitter=st.floats(0, 1, exclude_max=True))
def test_jitter_keeps_the_delay_between_half_and_all_of_it(failures: int, jitter: float) -> None:
    whole = delay_s(failures, 0.2, 30, 1.0)
    assert whole / 2 <= delay_s(failures, 0.2, 30, jitter) <= whole


def test_a_reset_starts_over() -> None:
    backoff = Backoff(base_s=1, cap_s=100, jitter=lambda: 1.0)
    assert [backoff.next_s() for _ in range(3)] == [1, 2, 4]
    backoff.reset()
    assert backoff.next_s() == 1


def test_keys_fail_apart_from_each_other_and_success_forgets() -> None:
    backoff: KeyedBackoff[str] = KeyedBackoff(base_s=1, cap_s=100, jitter=lambda: 1.0)
    assert [backoff.failed("a"), backoff.failed("a"), backoff.failed("b")] == [1, 2, 1]
    backoff.succeeded("a")
    assert (backoff.failures("a"), backoff.failures("b")) == (0, 1)
    assert backoff.failed("a") == 1
