"""Plots are well-formed SVG whose bars are as long as their values."""

from __future__ import annotations

import itertools
import math
from xml.etree import ElementTree

import pytest

from bench.plots import LABEL_CHARACTERS, LEFT, RIGHT, WIDTH, bars, scale
from bench.report import Figure

SVG = "{http://www.w3.org/2000/svg}"


def figure(way: str, *values: float, case: str = "1 job") -> Figure:
    return Figure(case=case, way=way, metric="CPU µs/frame", values=values)


def drawn(*figures: Figure, ours: str = "ours", title: str = "Fan-out") -> ElementTree.Element:
    return ElementTree.fromstring(bars(title, figures, frozenset({ours}), "note"))


def lengths(svg: ElementTree.Element) -> list[float]:
    found = svg.findall(f"{SVG}rect")
    return [float(rect.attrib["width"]) for rect in found if rect.attrib["class"] != "back"]


def texts(svg: ElementTree.Element) -> list[str | None]:
    return [text.text for text in svg.findall(f"{SVG}text")]


def test_bars_are_medians_on_a_scale_from_zero() -> None:
    svg = drawn(figure("ours", 1, 5, 9), figure("theirs", 10))
    short, long = lengths(svg)
    assert short * 2 == pytest.approx(long)
    assert long == pytest.approx(RIGHT - LEFT)
    assert "logarithmic" not in str(texts(svg)[-1])


def test_a_wide_range_is_logarithmic_and_says_so() -> None:
    svg = drawn(figure("ours", 10), figure("theirs", 1000), figure("least", 1))
    ours, theirs, least = lengths(svg)
    assert ours * 3 == pytest.approx(theirs)
    assert least == 1.0, "too short to see, but there"
    assert "logarithmic" in str(texts(svg)[-1])


@pytest.mark.parametrize("values", [[0.0, 0.0], [3.0], [0.02, 7e5], [1, 20], [7, 7.1], [99, 1]])
def test_the_grid_is_round_and_within_the_plot(values: list[float]) -> None:
    across = scale(values)
    ticks = across.ticks()
    assert 2 <= len(ticks) <= 12
    assert all(LEFT <= across.x(tick) <= RIGHT for tick in ticks)
    assert all(LEFT <= across.x(value) <= RIGHT for value in values)
    positions = [across.x(tick) for tick in ticks]
    steps = [b - a for a, b in itertools.pairwise(positions)]
    assert all(math.isclose(step, steps[0]) for step in steps)


def test_what_is_ours_differs_by_more_than_its_colour() -> None:
    svg = drawn(figure("ours", 1), figure("theirs", 2))
    kinds = {text.text: text.attrib["class"] for text in svg.findall(f"{SVG}text")}
    assert "ours" in kinds["ours"].split()
    assert "ours" not in kinds["theirs"].split()
    style = svg.findtext(f"{SVG}style")
    assert style is not None
    assert ".ours { font-weight" in style
    assert "prefers-color-scheme: dark" in style


def test_names_are_escaped_cut_and_read_out() -> None:
    svg = drawn(figure("a < b & c" * 9, 1), title="p99 < 1 & more")
    assert svg.findtext(f"{SVG}title") == "p99 < 1 & more"
    assert "a < b & c" * 9 in str(svg.findtext(f"{SVG}desc"))
    name = next(text for text in texts(svg) if text and text.endswith("…"))
    assert len(name) <= LABEL_CHARACTERS


def test_each_case_is_a_group_and_all_fits() -> None:
    svg = drawn(figure("a", 1), figure("b", 2, case="1,000 jobs"), figure("c", 3))
    shown = texts(svg)
    assert shown.index("1 job") < shown.index("c") < shown.index("1,000 jobs") < shown.index("b")
    height = float(svg.attrib["height"])
    assert all(0 < float(text.attrib["y"]) < height for text in svg.findall(f"{SVG}text"))
    assert svg.attrib["viewBox"] == f"0 0 {WIDTH} {height:.0f}"


def test_nothing_to_draw_is_an_error() -> None:
    with pytest.raises(ValueError, match="nothing"):
        drawn()
