"""The capacity model: fits are exact where they can be, plans carry what they promise."""

from __future__ import annotations

import dataclasses

import pytest

from bench.scaling.capacity import (
    Constants,
    Layout,
    Load,
    commits_per_second,
    memory_gib,
    plan,
    uses,
)
from bench.scaling.costs import Fanout, Grouped, fit
from bench.scaling.pipeline import closed_loop_ms, simulate

FANOUT = Fanout(publish_us=100, event_us=12, warm_us=5, cold_us=4)
COMMIT = Grouped(group_us=700, each_us=30)
CONSTANTS = Constants(
    fanout=FANOUT,
    receive=Grouped(group_us=50, each_us=10),
    tell=Grouped(group_us=60, each_us=5),
    read_us=60,
    commit=COMMIT,
    journal=Grouped(group_us=300, each_us=15),
    database=Grouped(group_us=400, each_us=15),
    valkey=Grouped(group_us=5, each_us=5),
    idle_us=100,
    viewer_kib=26,
    stream_kib=30,
    process_kib=80_000,
)


def test_a_fit_finds_the_constants_that_made_the_points() -> None:
    points = {
        (j, v): FANOUT.per_frame_us(j, v)
        for j, v in ((1, 100), (1, 1000), (100, 1), (1000, 1), (9, 9))
    }
    found = Fanout.fitted(points, {(1000, 10): 100 / 10 + 12 + FANOUT.frame_us(1000)})
    for name, value in dataclasses.asdict(FANOUT).items():
        assert getattr(found, name) == pytest.approx(value)
    groups = {size: COMMIT.per_event_us(size) for size in (1, 20, 500)}
    found_commit = Grouped.fitted(groups)
    assert (found_commit.group_us, found_commit.each_us) == pytest.approx((700, 30))


def test_a_fit_has_no_constant_below_zero() -> None:
    """More viewers cost more each, here: an event must not cost less than nothing for that."""
    found = Fanout.fitted({(1, 100): 5, (1, 1000): 8, (100, 1): 9, (1000, 1): 11}, {})
    assert min(dataclasses.astuple(found)) >= 0
    assert found.per_frame_us(1, 1000) == pytest.approx(8, rel=0.1)


@pytest.mark.parametrize("values", [[], [0.0], [1.0, -1.0]])
def test_a_fit_needs_values_above_zero(values: list[float]) -> None:
    with pytest.raises(ValueError, match="above zero"):
        fit([[1.0]] * len(values), values)


@pytest.mark.parametrize("rate", [20, 200, 2_000, 10_000])
def test_the_size_of_groups_agrees_with_the_simulation(rate: int) -> None:
    jobs = rate // 2
    load = Load(jobs=jobs, viewers=jobs, events_per_second=2)
    predicted = commits_per_second(load, Layout(web=1, workers=1), CONSTANTS)
    simulated = simulate(
        jobs=jobs,
        viewers=1,
        events_per_second=2,
        journal=COMMIT,
        fanout=Fanout(publish_us=0, event_us=0, warm_us=0, cold_us=0),
        events=8_000,
    )
    assert rate / predicted == pytest.approx(simulated.group, rel=0.15)


def test_the_simulated_latency_of_an_idle_pipeline_is_the_sum_of_its_parts() -> None:
    simulated = simulate(
        jobs=1, viewers=1, events_per_second=5, journal=COMMIT, fanout=FANOUT, events=200
    )
    parts = COMMIT.per_event_us(1) + FANOUT.total_us(1, 1)
    assert simulated.p50_ms * 1e3 == pytest.approx(parts)
    assert simulated.replaced == 0


def test_an_overloaded_journal_replaces_progress_and_latency_stays_bounded() -> None:
    slow = Grouped(group_us=700, each_us=1000)
    cheap = Fanout(publish_us=0, event_us=1, warm_us=1, cold_us=0)
    simulated = simulate(jobs=500, viewers=1, events_per_second=10, journal=slow, fanout=cheap)
    assert simulated.replaced > 0.5
    assert simulated.p99_ms < 2 * slow.total_us(500) / 1e3


def test_a_closed_loop_reaches_viewers_one_after_the_other() -> None:
    whole = FANOUT.total_us(1, 1000) / 1e3
    assert closed_loop_ms(FANOUT, 1, 1000, 1.0) == pytest.approx(whole)
    assert closed_loop_ms(FANOUT, 1, 1000, 0.5) == pytest.approx(whole / 2, rel=0.02)


@pytest.mark.parametrize(
    "load",
    [
        Load(jobs=10, viewers=100),
        Load(jobs=1_000, viewers=10_000),
        Load(jobs=100_000, viewers=1_000_000),
    ],
)
def test_a_plan_carries_its_load_and_one_process_less_does_not(load: Load) -> None:
    layout = plan(load, CONSTANTS)
    assert uses(load, layout, CONSTANTS)[0].share <= 1
    for name in ("web", "workers"):
        count = getattr(layout, name)
        if count > 1:
            less = dataclasses.replace(layout, **{name: count - 1})
            assert uses(load, less, CONSTANTS)[0].share > 1


def test_uses_name_what_breaks_first() -> None:
    layout = Layout(web=2, workers=2)
    many_viewers = uses(Load(jobs=10, viewers=50_000), layout, CONSTANTS)
    assert many_viewers[0].name == "core of a web process"
    many_jobs = uses(Load(jobs=20_000, viewers=10), layout, CONSTANTS)
    assert many_jobs[0].name == "core of a worker"
    quiet = Load(jobs=1, viewers=100_000, events_per_second=0.01)
    nobody_asked = dataclasses.replace(CONSTANTS, idle_us=1)
    assert uses(quiet, layout, nobody_asked)[0].name == "ports from the proxy"


def test_memory_grows_by_viewers_streams_and_processes() -> None:
    layout = Layout(web=1, workers=1)
    nobody = memory_gib(Load(jobs=0, viewers=0), layout, CONSTANTS)
    assert nobody == pytest.approx(2 * 80_000 / 2**20)
    somebody = memory_gib(Load(jobs=100, viewers=1000), layout, CONSTANTS)
    assert somebody - nobody == pytest.approx((26_000 + 3_000) / 2**20)
