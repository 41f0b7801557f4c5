from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from denoise_relay.events import MESSAGE_LIMIT, Stage, clean_pct, clean_text


@given(st.text(alphabet=st.characters(), max_size=3000))
def test_clean_text_can_be_stored_and_sent(text: str) -> None:
    cleaned = clean_text(text)

    cleaned.encode()  # no lone surrogate
    assert len(cleaned) <= MESSAGE_LIMIT
    assert len(cleaned.splitlines()) <= 1
    assert "\x00" not in cleaned
    assert clean_text(cleaned) == cleaned


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("Running noise reduction", "Running noise reduction"),
        ("  two\r\nlines\u2028three ", "two lines three"),
        ("nul\x00 bell\x07", "nul  bell"),
        ("lone \ud800 surrogate", "lone   surrogate"),
        ("إزالة الضوضاء", "إزالة الضوضاء"),
        ("<b>markup is text</b>", "<b>markup is text</b>"),
    ],
)
def test_clean_text_cases(text: str, cleaned: str) -> None:
    assert clean_text(text) == cleaned


def test_clean_text_marks_a_cut() -> None:
    assert clean_text("x" * 501) == "x" * 499 + "…"
    assert clean_text("x" * 500) == "x" * 500


@pytest.mark.parametrize(
    ("value", "cleaned"),
    [
        (0, 0.0),
        (50, 50.0),
        (True, 1.0),
        (62.04, 62.0),
        (99.99, 100.0),
        (-1, 0.0),
        (999, 100.0),
        (10**400, 100.0),
        (-(10**400), 0.0),
        (math.nan, 0.0),
        (math.inf, 100.0),
        (-math.inf, 0.0),
    ],
)
def test_clean_pct_is_a_float_between_0_and_100(value: float, cleaned: float) -> None:
    result = clean_pct(value)

    assert result == cleaned
    # An int has no is_integer() before Python 3.12, and travels differently in some encoders.
    assert type(result) is float
    assert not math.copysign(1.0, result) < 0


def test_only_processing_is_not_terminal() -> None:
    assert [stage for stage in Stage if not stage.terminal] == [Stage.PROCESSING]
