"""The model's constants come from the results, and the check finds what the model misses."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import results, simulate
from bench.scaling import measured
from bench.scaling.checks import checks
from bench.scaling.costs import Grouped
from bench.scaling.measured import Measured, NotMeasured
from bench.simulate import STEPS, simulated
from tests.unit.bench import modelled


def found(document: results.Document) -> Measured:
    return Measured(results.areas(document))


def near(cost: Grouped) -> object:
    return pytest.approx((cost.group_us, cost.each_us), rel=0.01)


def test_constants_are_found_again() -> None:
    site = measured.constants(found(modelled.document()))
    wall, cpu = modelled.JOURNALS["PostgreSQL"]
    assert site.fanout.frame_us(1000) == pytest.approx(modelled.FANOUT.frame_us(1000))
    assert site.fanout.publish_us == pytest.approx(modelled.FANOUT.publish_us)
    for cost, expected in (
        (site.receive, modelled.RECEIVE),
        (site.tell, modelled.TELL),
        (site.valkey, modelled.VALKEY),
        (site.commit, wall),
        (site.journal, cpu),
        (
            site.database,
            Grouped(
                group_us=wall.group_us - cpu.group_us,
                each_us=wall.each_us - cpu.each_us,
            ),
        ),
    ):
        assert (cost.group_us, cost.each_us) == near(expected)
    assert (site.read_us, site.idle_us) == (modelled.READ_US, modelled.IDLE_PERCENT * 10)


def test_one_process_on_sqlite_tells_nobody() -> None:
    measurements = found(modelled.document())
    alone = measured.embedded(measurements, measured.constants(measurements))
    assert alone.tell.group_us == alone.receive.each_us == alone.valkey.group_us == 0
    wall, _ = modelled.JOURNALS["SQLite"]
    assert (alone.commit.group_us, alone.commit.each_us) == near(wall)


def test_every_point_is_checked_and_met_where_the_model_is_exact() -> None:
    points = list(checks(found(modelled.document())))
    assert len(points) == 31
    assert all(abs(point.off) < 0.01 for point in points)


def test_latencies_that_cpu_time_does_not_explain_are_missed() -> None:
    points = list(checks(found(modelled.document(late=1.5))))
    missed = [point for point in points if not point.good]
    assert len(missed) == 8
    assert {point.metric for point in missed} == {"p50 ms", "p99 ms"}
    assert all(point.off == pytest.approx(-1 / 3) for point in missed)


@pytest.mark.parametrize("name", ["fanout", "pubsub", "journal", "ingest", "idle"])
def test_what_is_not_measured_is_named(name: str) -> None:
    document = modelled.document()
    areas = [area for area in document["areas"] if area["name"] != name]
    with pytest.raises(NotMeasured, match=name):
        simulated({**document, "areas": areas})


def test_every_step_says_what_breaks_and_what_carries_it() -> None:
    blocks, good = simulated(modelled.document())
    assert good
    assert "31 of 31 points are within 20%" in blocks["check"]
    _, _, *rows = blocks["steps"].splitlines()
    assert len(rows) == len(STEPS)
    assert "one process, SQLite" in rows[0]
    assert "100,000 jobs, 1,000,000 viewers" in rows[-1]
    assert " sites, each " in rows[-1]


def test_the_page_takes_every_block(tmp_path: Path) -> None:
    simulate.write(modelled.document(), tmp_path)
    page = (tmp_path / simulate.PAGE).read_text()
    blocks, _ = simulated(modelled.document())
    assert len(blocks) == page.count("<!-- bench: ")
    assert all(block in page for block in blocks.values())
