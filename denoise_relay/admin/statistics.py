"""What was measured before and after, as a table for staff."""

from __future__ import annotations

import math
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

#: Keys of `before` and `after` in `Job.statistics`, what they are called, and their units.
_ROWS = (
    ("loudness_lufs", gettext_lazy("Loudness"), "LUFS"),
    ("true_peak_db", gettext_lazy("True peak"), "dB"),
    ("noise_floor_db", gettext_lazy("Noise floor"), "dB"),
    ("snr_db", gettext_lazy("Signal to noise"), "dB"),
    ("dnsmos", gettext_lazy("DNSMOS"), ""),
)


def table(statistics: Any) -> SafeString | str:
    """`Job.statistics` as HTML; "" if there is nothing in it. What is no number is left out."""
    if not isinstance(statistics, dict):
        return ""
    sides = [statistics.get(name) for name in ("before", "after")]
    rows = []
    for key, label, unit in _ROWS:
        values = [_value(side.get(key), unit) if isinstance(side, dict) else "" for side in sides]
        if any(values):
            rows.append((label, *values))
    less = _value(statistics.get("noise_reduction_db"), "dB")
    if less:
        rows.append((_("Less noise"), "", less))
    if not rows:
        return ""
    body = format_html_join("", "<tr><th>{}</th><td>{}</td><td>{}</td></tr>", rows)
    return format_html(
        '<table class="denoise-statistics"><tr><td></td><th>{}</th><th>{}</th></tr>{}</table>',
        _("Before"),
        _("After"),
        body,
    )


def _value(found: object, unit: str) -> str:
    if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found):
        return ""
    return f"{found:.1f} {unit}".rstrip()
