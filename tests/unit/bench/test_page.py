"""docs/performance.md: generated between markers, hand-written around them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import page, results
from bench.report import Area, Figure, Goal

ROOT = Path(__file__).resolve().parent.parent.parent.parent
CASE, METRIC = "1 job x 1,000 viewers", "CPU µs/frame"
TEMPLATE = "# Mine\n\n<!-- bench: {} -->\nold\n<!-- /bench -->\n\nmine, too\n"


def figure(way: str, *values: float, metric: str = METRIC) -> Figure:
    return Figure(case=CASE, way=way, metric=metric, values=values)


@pytest.fixture
def document() -> results.Document:
    """Two servers of ours beside one rival, a goal met, one missed, and an area that failed."""
    ways = ("relay on Daphne", "relay on uvicorn")
    goals = tuple(
        Goal(case=CASE, metric=METRIC, way=way, beside="broadcast", limit=limit)
        for way, limit in zip(ways, (0.9, 1.3), strict=True)
    )
    figures = (figure(ways[0], 7, 9), figure(ways[1], 20, 30), figure("broadcast", 10, 10))
    fanout = Area(name="fanout", title="Fan-out", goals=goals, figures=figures)
    found = results.with_area(results.new(2), fanout)
    return results.with_area(found, Area(name="pubsub", title="Pub/sub", error="OSError: no port"))


def test_only_what_is_between_markers_changes(document: results.Document) -> None:
    text = page.filled(TEMPLATE.format("goals"), document)
    assert text.startswith("# Mine\n\n<!-- bench: goals -->\n")
    assert text.endswith("<!-- /bench -->\n\nmine, too\n")
    assert "old" not in text
    assert page.filled(text, document) == text


def test_rows_say_what_was_met_missed_and_failed(document: results.Document) -> None:
    rows = page.filled(TEMPLATE.format("goals"), document).splitlines()
    daphne, uvicorn, failed = rows[6:9]
    assert "| relay on Daphne 8 | broadcast 10 | 0.800 | at most 0.9 x | met |" in daphne
    assert "| 2.50 | at most 1.3 x | **missed** |" in uvicorn
    assert "OSError: no port" in failed


def test_servers_are_beside_each_other(document: results.Document) -> None:
    text = page.filled(TEMPLATE.format("servers"), document)
    assert f"| {CASE} | {METRIC} | 8 | - | 25 | - |" in text


def test_a_block_that_nobody_makes_is_an_error(document: results.Document) -> None:
    with pytest.raises(KeyError):
        page.filled(TEMPLATE.format("goats"), document)


def test_plots_of_an_older_run_go(document: results.Document, tmp_path: Path) -> None:
    images = tmp_path / page.IMAGES
    images.mkdir()
    (images / "bench-old.svg").touch()
    (images / "player.png").touch()
    page.write(document, tmp_path, TEMPLATE.format("plots"))
    assert {path.name for path in images.iterdir()} == {
        "player.png",
        "bench-fanout-cpu-us-frame.svg",
    }
    text = (tmp_path / page.PAGE).read_text()
    assert "![Fan-out: CPU µs/frame](images/bench-fanout-cpu-us-frame.svg)" in text


def test_the_page_is_what_its_results_say() -> None:
    """Nobody edits what is generated, and who runs the bench commits all of it."""
    document = results.read(ROOT / "docs" / results.FILE)
    text = (ROOT / "docs" / page.PAGE).read_text()
    assert page.filled(text, document) == text
    drawn = page.drawings(document)
    assert {path.name for path in (ROOT / "docs" / page.IMAGES).glob("bench-*.svg")} == set(drawn)
    for name, svg in drawn.items():
        assert (ROOT / "docs" / page.IMAGES / name).read_text() == svg
