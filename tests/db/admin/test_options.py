"""Options of a job and what was measured, on its page in the admin."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from tests.db.admin.staff import page, text
from tests.db.factories import stored_job

MEASURED = {
    "before": {
        "loudness_lufs": -23.04,
        "true_peak_db": -3.0,
        "noise_floor_db": -48.2,
        "snr_db": 18,
        "dnsmos": None,
    },
    "after": {
        "loudness_lufs": -23.9,
        "true_peak_db": -3.1,
        "noise_floor_db": None,
        "snr_db": 44.44,
        "dnsmos": None,
    },
    "removed_gain": 1.0,
    "noise_reduction_db": 26.1,
}


def statistics(html: str) -> list[list[str]]:
    """The cells of each row."""
    table = re.search(r'<table class="denoise-statistics">(.*?)</table>', html, re.DOTALL)
    rows = re.findall(r"<tr>(.*?)</tr>", table[1]) if table else []
    return [re.findall(r"<t[dh]>(.*?)</t[dh]>", row) for row in rows]


def test_options_are_shown_with_their_units(root: Client) -> None:
    html = text(root, page(stored_job(max_attenuation_db=12.5, loudness_lufs=-16.0)))
    assert "at most 12.5 dB" in html
    assert "-16 LUFS" in html


def test_what_was_measured_is_a_table(root: Client) -> None:
    assert statistics(text(root, page(stored_job(statistics=MEASURED)))) == [
        ["", "Before", "After"],
        ["Loudness", "-23.0 LUFS", "-23.9 LUFS"],
        ["True peak", "-3.0 dB", "-3.1 dB"],
        ["Noise floor", "-48.2 dB", ""],
        ["Signal to noise", "18.0 dB", "44.4 dB"],
        ["Less noise", "", "26.1 dB"],
    ]


@pytest.mark.parametrize(
    "stored",
    [None, [], "text", {}, {"before": None, "after": []}, {"before": {"snr_db": "<b>18</b>"}}],
)
def test_what_is_no_measurement_is_left_out(root: Client, stored: Any) -> None:
    html = text(root, page(stored_job(statistics=stored)))
    assert statistics(html) == []
    assert "<b>18</b>" not in html
