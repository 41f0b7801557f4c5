"""Every area has what the report needs. (Those whose rivals are not installed are left out.)"""

from __future__ import annotations

import inspect

import pytest

from bench.__main__ import AREAS
from bench.report import METRICS
from bench.scaling import measured


@pytest.mark.parametrize("name", AREAS)
def test_goals_are_in_known_metrics_and_differ(name: str) -> None:
    module = pytest.importorskip(f"bench.{name}", exc_type=ImportError)
    assert isinstance(module.TITLE, str)
    assert list(inspect.signature(module.run).parameters) == ["rounds"]
    for goal in module.GOALS:
        assert goal.metric in METRICS
        assert goal.limit > 0
        assert goal.way != goal.beside or goal.beside_case, "it would be 1"
    assert len(set(module.GOALS)) == len(module.GOALS)


def test_the_model_finds_the_names_that_areas_give() -> None:
    """A case or way under another name would be "not measured", after twelve minutes."""
    fanout, pubsub, ingest, journal, latency, idle = (
        pytest.importorskip(f"bench.{name}", exc_type=ImportError)
        for name in ("fanout", "pubsub", "ingest", "journal", "latency", "idle")
    )
    shapes = {case: measured.SHAPE.fullmatch(case) for case in (*fanout.CASES, fanout.UNSEEN)}
    assert all(shapes.values())
    assert {way.name for way in fanout.ways.ALL} >= set(measured.SERVERS)
    across = {way.name for way in pubsub.WAYS}
    assert across >= {measured.ACROSS, measured.EACH, measured.INSIDE}
    for process in ("web", "publisher", "Valkey"):
        who = () if process == "web" else (process,)
        found = measured.COMMITS.fullmatch(pubsub.case(500, *who))
        assert found is not None
        assert found.groups() == ("1,000", "500", process)
    assert "relay" in ingest.WAYS
    assert f"{ingest.STREAMS[-1]:,} streams" == measured.STREAMS
    assert {f"journal on {name}" for name in measured.DATABASES} == set(journal.CASES.values())
    assert (measured.SERVERS[0], measured.PIPE) == (latency.RELAY, latency.PIPE)
    assert (measured.IDLE, measured.SERVERS[0]) == (idle.CASE, idle.OURS)
