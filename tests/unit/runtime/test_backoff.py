from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from denoise_relay.runtime.backoff import MAX_RETRY_AFTER_SECONDS, Backoff, retry_after

NOON = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def highest(_low: float, high: float) -> float:
    return high


def test_backoff_doubles_up_to_its_cap() -> None:
    backoff = Backoff(base=0.5, cap=5, draw=highest)
    assert [backoff.next_delay() for _ in range(6)] == [0.5, 1, 2, 4, 5, 5]


def test_backoff_starts_again_after_progress() -> None:
    backoff = Backoff(base=1, cap=60, draw=highest)
    backoff.next_delay()
    backoff.next_delay()
    backoff.reset()
    assert backoff.next_delay() == 1


def test_backoff_does_not_overflow_after_many_failures() -> None:
    backoff = Backoff(base=0.5, cap=30, draw=highest)
    assert {backoff.next_delay() for _ in range(2000)} == {0.5, 1, 2, 4, 8, 16, 30}


def test_backoff_draws_from_zero_to_the_ceiling() -> None:
    asked = []

    def draw(low: float, high: float) -> float:
        asked.append((low, high))
        return low

    assert Backoff(base=2, draw=draw).next_delay() == 0
    assert asked == [(0, 2)]


def test_backoff_waits_no_less_than_the_server_asked() -> None:
    backoff = Backoff(base=1, cap=1)
    assert all(7 <= backoff.next_delay(at_least=7) <= 8 for _ in range(50))


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("3", 3),
        (" 120 ", 120),
        ("0", 0),
        ("1000000000", MAX_RETRY_AFTER_SECONDS),
        ("9" * 5000, MAX_RETRY_AFTER_SECONDS),
        ("Sun, 01 Mar 2026 12:00:30 GMT", 30),
        ("Sun, 01 Mar 2026 12:00:30 -0000", 30),
        ("Sunday, 01-Mar-26 12:00:30 GMT", 30),
        ("Sun, 01 Mar 2026 14:00:00 GMT", MAX_RETRY_AFTER_SECONDS),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0),
        ("Sun, 01 Mar 0001 00:00:00 +2359", 0),
        ("-5", 0),
        ("+5", 0),
        ("1.5", 0),
        ("٣", 0),
        ("soon", 0),
        ("x" * 10_000, 0),
        ("", 0),
        (None, 0),
    ],
)
def test_retry_after(header: str | None, seconds: float) -> None:
    assert retry_after(header, now=NOON) == seconds


@given(st.text())
def test_retry_after_takes_anything(header: str) -> None:
    assert 0 <= retry_after(header) <= MAX_RETRY_AFTER_SECONDS
