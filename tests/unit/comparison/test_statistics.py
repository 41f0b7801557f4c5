"""Intervals and exact tests, against values that others have published or computed."""

from __future__ import annotations

import pytest

from denoise_relay.comparison.statistics import guessing_test, sign_test, wilson_interval


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        # Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        # R: prop.test(14, 20, correct = FALSE)
        (14, 20, 0.4810, 0.8545),
        (29, 29, 0.8830, 1.0),
    ],
)
def test_wilson_interval(successes: int, n: int, low: float, high: float) -> None:
    assert wilson_interval(successes, n) == (
        pytest.approx(low, abs=5e-5),
        pytest.approx(high, abs=5e-5),
    )


def test_nothing_is_known_without_votes() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)
    assert sign_test(0, 0) == 1.0
    assert guessing_test(0, 0) == 1.0


@pytest.mark.parametrize(
    ("first", "second", "p"),
    [
        # R: binom.test(k, n)$p.value
        (14, 6, 0.1153182983),
        (15, 5, 0.0413894653),
        (9, 1, 0.021484375),
        (5, 5, 1.0),
        (6, 0, 0.03125),
        (1, 0, 1.0),
    ],
)
def test_sign_test(first: int, second: int, p: float) -> None:
    assert sign_test(first, second) == pytest.approx(p, abs=1e-9)
    assert sign_test(second, first) == sign_test(first, second)


@pytest.mark.parametrize(
    ("correct", "n", "p"),
    [
        # The usual threshold of listening tests: 12 of 16.
        (12, 16, 0.0384063721),
        (11, 16, 0.1050567627),
        (16, 16, 0.5**16),
        (0, 16, 1.0),
        (8, 10, 0.0546875),
    ],
)
def test_guessing_test(correct: int, n: int, p: float) -> None:
    assert guessing_test(correct, n) == pytest.approx(p, abs=1e-9)


def test_thousands_of_votes_do_not_overflow() -> None:
    assert 0.0 < sign_test(2600, 2400) < 0.005
    assert guessing_test(5000, 10_000) == pytest.approx(0.504, abs=1e-3)


@pytest.mark.parametrize(("successes", "n"), [(-1, 3), (4, 3)])
def test_impossible_counts_are_refused(successes: int, n: int) -> None:
    with pytest.raises(ValueError):
        wilson_interval(successes, n)
    with pytest.raises(ValueError):
        guessing_test(successes, n)
