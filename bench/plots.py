"""Bars beside each other as SVG, drawn without a library.

A plot follows the reader's light or dark scheme, background included, so that it can be read on
any page. What is ours differs by more than its colour: its name is bold and its bar has an edge.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from bench.report import Figure, number

WIDTH = 640
#: Of a bar with its gap, of a case's heading, and of the title above and the note below.
ROW, HEADING, HEAD, FOOT = 26, 34, 48, 30
LABELS, VALUES = 238, 66
LEFT, RIGHT = LABELS + 12, WIDTH - VALUES - 12
#: Longer labels would run into the bars.
LABEL_CHARACTERS = 33
#: Longest bar over shortest, from which on the scale is logarithmic.
LOG_FROM = 20.0

STYLE = """
svg { --back: #ffffff; --text: #1f2328; --dim: #59636e; --line: #d1d9e0; --ours: #0969da;
  --theirs: #aeb8c2 }
@media (prefers-color-scheme: dark) { svg { --back: #0d1117; --text: #f0f6fc; --dim: #9198a1;
  --line: #3d444d; --ours: #4493f8; --theirs: #59636e } }
text { font: 14px system-ui, "Segoe UI", "DejaVu Sans", sans-serif; fill: var(--text) }
.title { font-size: 17px; font-weight: 600 }
.case { font-weight: 600; fill: var(--dim) }
.note, .tick { font-size: 12px; fill: var(--dim) }
.name { text-anchor: end }
.tick { text-anchor: middle }
.ours { font-weight: 700 }
.back { fill: var(--back) }
.grid { stroke: var(--line) }
.spread { stroke: var(--text); stroke-width: 1.5 }
rect.ours { fill: var(--ours); stroke: var(--text); stroke-width: 1 }
rect.theirs { fill: var(--theirs) }
"""


@dataclass(frozen=True)
class Scale:
    """Values between `low` and `high` as x coordinates."""

    low: float
    high: float
    logarithmic: bool

    def x(self, value: float) -> float:
        """From LEFT to RIGHT; a value outside is drawn at the edge."""
        if self.logarithmic:
            part = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        else:
            part = value / self.high
        return LEFT + (RIGHT - LEFT) * min(1.0, max(0.0, part))

    def ticks(self) -> list[float]:
        """Round values for the grid: powers of ten, or four to eight even steps."""
        if self.logarithmic:
            first, last = round(math.log10(self.low)), round(math.log10(self.high))
            return [10.0**power for power in range(first, last + 1)]
        step = 10 ** math.floor(math.log10(self.high))
        step = next(s for s in (step, step / 2, step / 5, step / 10) if self.high / s >= 4)
        return [step * index for index in range(int(self.high / step + 1e-9) + 1)]


def scale(values: Sequence[float]) -> Scale:
    """From zero, or in powers of ten where the values are too far apart for that."""
    high, low = max(values), min(values)
    if low > 0 and high / low >= LOG_FROM:
        return Scale(10 ** math.floor(math.log10(low)), 10 ** math.ceil(math.log10(high)), True)
    return Scale(0.0, high or 1.0, False)


def bars(title: str, figures: Sequence[Figure], ours: frozenset[str], note: str) -> str:
    """One plot of figures of the same metric, a group of bars for each case; an SVG document.

    A bar is the median of the rounds, the line across its end their spread. `ours` names the
    ways that are emphasised. Raises `ValueError` without figures.
    """
    if not figures:
        raise ValueError("nothing to draw")
    across = scale([value for figure in figures for value in figure.values])
    top, groups = HEAD, []
    for case in dict.fromkeys(figure.case for figure in figures):
        groups.append(f'<text class="case" x="12" y="{top + 24}">{escape(case)}</text>')
        top += HEADING
        for figure in figures:
            if figure.case == case:
                groups.append(_bar(figure, across, top, figure.way in ours))
                top += ROW
    height = top + 22 + FOOT
    foot = f"{note}; logarithmic scale" if across.logarithmic else note
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
            f'width="{WIDTH}" height="{height}" role="img" aria-labelledby="t d">',
            f'<title id="t">{escape(title)}</title>',
            f'<desc id="d">{escape(_described(figures))}</desc>',
            f"<style>{STYLE}</style>",
            f'<rect class="back" width="{WIDTH}" height="{height}" rx="8"/>',
            f'<text class="title" x="12" y="30">{escape(title)}</text>',
            *(_tick(value, across, top) for value in across.ticks()),
            *groups,
            f'<text class="note" x="12" y="{height - 12}">{escape(foot)}</text>',
            "</svg>\n",
        ]
    )


def _bar(figure: Figure, across: Scale, top: float, ours: bool) -> str:
    kind = "ours" if ours else "theirs"
    end, middle = across.x(figure.median), top + ROW / 2
    low, high = across.x(min(figure.values)), across.x(max(figure.values))
    name = figure.way
    if len(name) > LABEL_CHARACTERS:
        name = f"{name[: LABEL_CHARACTERS - 1].rstrip()}…"
    return (
        f'<text class="name {kind}" x="{LABELS}" y="{middle + 5:.0f}">{escape(name)}</text>'
        f'<rect class="{kind}" x="{LEFT}" y="{top + 4}" width="{max(1.0, end - LEFT):.1f}" '
        f'height="{ROW - 8}"/>'
        f'<path class="spread" d="M{low:.1f} {middle}H{high:.1f}"/>'
        f'<text class="{kind}" x="{max(end, high) + 6:.1f}" y="{middle + 5:.0f}">'
        f"{number(figure.median)}</text>"
    )


def _tick(value: float, across: Scale, bottom: float) -> str:
    x = across.x(value)
    text = number(value) if value else "0"
    return (
        f'<path class="grid" d="M{x:.1f} {HEAD}V{bottom + 4}"/>'
        f'<text class="tick" x="{x:.1f}" y="{bottom + 20}">{text}</text>'
    )


def _described(figures: Sequence[Figure]) -> str:
    """What a screen reader says of the bars."""
    return "; ".join(
        f"{figure.case}, {figure.way}: {number(figure.median)} {figure.metric}"
        for figure in figures
    )
