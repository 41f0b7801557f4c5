"""Every area has what the report needs. (Those whose rivals are not installed are left out.)"""

from __future__ import annotations

import inspect

import pytest

from bench.__main__ import AREAS
from bench.report import METRICS


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
