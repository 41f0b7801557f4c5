"""Goals are held against the median of the ratios of each round."""

from __future__ import annotations

import json

import pytest

from bench.report import Area, Figure, Goal, number, outcome, ratio, table, wanted

CASE, METRIC = "1 job x 1,000 viewers", "CPU µs/frame"


def figure(way: str, *values: float, case: str = CASE) -> Figure:
    return Figure(case=case, way=way, metric=METRIC, values=values)


def goal(limit: float, *, beside: str = "theirs", least: bool = False, case: str = "") -> Goal:
    return Goal(
        case=CASE,
        metric=METRIC,
        way="ours",
        beside=beside,
        limit=limit,
        least=least,
        beside_case=case,
    )


def test_rounds_are_paired() -> None:
    """The machine was twice as slow in the second round: medians of each side would say 1.5."""
    assert ratio([1, 20, 3], [2, 10, 6]) == 0.5


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [([], [], None), ([1], [], None), ([1], [0], None), ([3, 9], [2], 1.5), ([1, 2], [2, 2], 0.75)],
)
def test_ratio_of_odd_rounds(
    ours: list[float], theirs: list[float], expected: float | None
) -> None:
    assert ratio(ours, theirs) == expected


@pytest.mark.parametrize(
    ("limit", "least", "met"), [(0.5, False, True), (0.49, False, False), (0.5, True, True)]
)
def test_a_goal_beside_a_rival(limit: float, least: bool, met: bool) -> None:
    came = outcome(goal(limit, least=least), [figure("ours", 1, 2), figure("theirs", 2, 4)])
    assert (came.reached, came.ours, came.theirs, came.met) == (0.5, 1.5, 3, met)


def test_an_absolute_goal_is_in_the_unit_of_its_metric() -> None:
    came = outcome(goal(60, beside=""), [figure("ours", 59, 60, 70)])
    assert (came.reached, came.met) == (60, True)
    assert wanted(came.goal) == "at most 60 CPU µs/frame"


def test_a_goal_beside_another_case() -> None:
    figures = [figure("ours", 11), figure("ours", 10, case="100 jobs")]
    came = outcome(goal(1.15, beside="ours", case="100 jobs"), figures)
    assert came.reached == pytest.approx(1.1)


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    assert outcome(goal(1), [figure("ours", 1)]).met is None
    assert outcome(goal(1), [figure("theirs", 1)]).met is None


def test_json_keeps_everything() -> None:
    area = Area(name="a", title="A", goals=(goal(1),), figures=(figure("ours", 1.5),), seconds=2)
    assert Area.from_json(json.loads(json.dumps(area.to_json()))) == area


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0, "0"), (0.1234, "0.123"), (1.234, "1.23"), (12.34, "12.3"), (12345, "12,345")],
)
def test_numbers_have_three_digits(value: float | None, text: str) -> None:
    assert number(value) == text


def test_a_table_names_goals_and_errors() -> None:
    figures = (figure("ours", 1, 3), figure("theirs", 1, 1))
    text = table(Area(name="a", title="Fan-out", goals=(goal(1),), figures=figures))
    assert "MISSED" in text
    assert "(1 to 3)" in text
    failed = table(Area(name="a", title="Fan-out", error="Traceback\nOSError: no port"))
    assert "FAILED: OSError: no port" in failed
