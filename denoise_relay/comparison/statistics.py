"""What votes say, and what they do not say: intervals and exact tests. Pure."""

from __future__ import annotations

from math import comb, sqrt

#: Quantile of the normal distribution for a two-sided interval of 95 %.
Z95 = 1.959963984540054


def wilson_interval(successes: int, n: int, z: float = Z95) -> tuple[float, float]:
    """Wilson's score interval of a proportion, as (low, high) in 0 to 1; (0, 1) if `n` is 0.

    Unlike the textbook's normal interval it is true for few votes, and never leaves 0 to 1.
    Raises `ValueError` unless 0 <= successes <= n.
    """
    _check(successes, n)
    if n == 0:
        return 0.0, 1.0
    share = successes / n
    centre = share + z * z / (2 * n)
    half = z * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def sign_test(first: int, second: int) -> float:
    """Two-sided exact p-value: how often a fair coin would be at least as uneven as this.

    Ties are left out before. 1.0 without votes.
    """
    _check(first, first + second)
    n = first + second
    return min(1.0, 2 * _at_least(max(first, second), n)) if n else 1.0


def guessing_test(correct: int, n: int) -> float:
    """One-sided exact p-value: how often a guesser would be right at least `correct` times."""
    _check(correct, n)
    return _at_least(correct, n)


def _at_least(k: int, n: int) -> float:
    """The chance of at least `k` heads in `n` tosses of a fair coin."""
    # In integers: no rounding, and no overflow for any number of votes.
    return sum(comb(n, i) for i in range(k, n + 1)) / (1 << n)


def _check(successes: int, n: int) -> None:
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} of {n} is no count")
