"""What the benches measure and want: figures, goals, ratios of each round, JSON, a text table."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

#: What is measured, and what it means.
METRICS = {
    "CPU µs/frame": "CPU time of the server's processes for each frame that a viewer received",
    "CPU µs/event": "CPU time of the process under test for each event",
    "wall µs/event": "wall time for each event",
    "CPU ms": "CPU time of the process under test for the whole case",
    "CPU %": "share of one core",
    "p50 ms": "latency that half of all frames kept",
    "p99 ms": "latency that 99% of all frames kept",
    "ms": "wall time of the case",
    "s": "wall time of the case",
    "KiB/viewer": "memory of the server for each viewer (resident, beside none)",
    "KiB/stream": "memory of the process for each stream (resident, beside none)",
    "MiB": "resident memory of the process tree",
    "queries": "queries to the database",
    "messages": "messages through the channel layer",
    "x real time": "seconds of audio cleaned in a second",
    "per second": "how many in a second",
}
#: More is better; of all others, less.
MORE_IS_BETTER = frozenset({"x real time", "per second"})


@dataclass(frozen=True, kw_only=True)
class Figure:
    """What one way of doing a case measured, one value per round."""

    #: "1 job x 1,000 viewers"
    case: str
    #: "relay on Daphne", "websockets.broadcast", …
    way: str
    #: One of `METRICS`.
    metric: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """Of all rounds."""
        return statistics.median(self.values)


@dataclass(frozen=True, kw_only=True)
class Goal:
    """A row of the table in docs/performance.md: ours beside a rival in the same run."""

    case: str
    metric: str
    way: str
    #: The rival's way; empty: `limit` is in the metric's unit.
    beside: str
    #: What the median of the ratios of each round (ours / beside) must be at most.
    limit: float
    #: At least.
    least: bool = False
    #: The case of `beside`, where it is another one than `case`.
    beside_case: str = ""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A goal and what came of it; None: not measured."""

    goal: Goal
    ours: float | None
    theirs: float | None
    #: What is held against the limit: the median of the ratios, or `ours` of an absolute goal.
    reached: float | None

    @property
    def met(self) -> bool | None:
        """None: not measured."""
        if self.reached is None:
            return None
        if self.goal.least:
            return self.reached >= self.goal.limit
        return self.reached <= self.goal.limit


@dataclass(frozen=True, kw_only=True)
class Area:
    """What came of one bench."""

    name: str
    title: str
    goals: tuple[Goal, ...] = ()
    figures: tuple[Figure, ...] = ()
    seconds: float = 0.0
    #: Why there are no figures; empty where all went well.
    error: str = ""

    def to_json(self) -> dict[str, Any]:
        """For `json.dumps`."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Area:
        """What `to_json` made."""
        figures = tuple(
            Figure(**{**figure, "values": tuple(figure["values"])}) for figure in data["figures"]
        )
        goals = tuple(Goal(**goal) for goal in data["goals"])
        return cls(**{**data, "figures": figures, "goals": goals})


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float | None:
    """The median of the ratios of each round; None where a round has no rival.

    Rounds are paired because the machine is faster in one than in another.
    """
    pairs = [(mine, other) for mine, other in zip(ours, theirs, strict=False) if other > 0]
    return statistics.median(mine / other for mine, other in pairs) if pairs else None


def outcome(goal: Goal, figures: Iterable[Figure]) -> Outcome:
    """Hold a goal against what was measured."""
    found = {(figure.case, figure.way, figure.metric): figure for figure in figures}
    ours = found.get((goal.case, goal.way, goal.metric))
    theirs = found.get((goal.beside_case or goal.case, goal.beside, goal.metric))
    reached = None
    if ours and not goal.beside:
        reached = ours.median
    elif ours and theirs:
        reached = ratio(ours.values, theirs.values)
    return Outcome(
        goal=goal,
        ours=ours.median if ours else None,
        theirs=theirs.median if theirs else None,
        reached=reached,
    )


def number(value: float | None) -> str:
    """Three digits that count: 0.123, 1.23, 12.3, 123, 12,345."""
    if value is None:
        return "-"
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    decimals = 0 if value == int(value) else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    return f"{value:.{decimals}f}"


def wanted(goal: Goal) -> str:
    """`at most 0.9 x`, or `at most 60 ms`."""
    bound = "at least" if goal.least else "at most"
    return f"{bound} {goal.limit:g} {'x' if goal.beside else goal.metric}"


def table(area: Area) -> str:
    """All figures of an area and its goals, for a terminal."""
    lines = ["", f"{area.title} ({area.seconds:.0f} s)"]
    if area.error:
        lines.append(f"  FAILED: {area.error.strip().splitlines()[-1]}")
    wide = max((len(figure.way) for figure in area.figures), default=0)
    case = ""
    for figure in area.figures:
        if figure.case != case:
            case = figure.case
            lines.append(f"  {case}")
        spread = f"({number(min(figure.values))} to {number(max(figure.values))})"
        value = f"{number(figure.median):>9} {figure.metric}"
        lines.append(f"    {figure.way:{wide}}{value:28}{spread}")
    for goal in area.goals:
        came = outcome(goal, area.figures)
        verdict = {True: "met", False: "MISSED", None: "not measured"}[came.met]
        against = f" / {goal.beside}" if goal.beside else ""
        lines.append(
            f"  {verdict:13}{goal.case}, {goal.metric}: {goal.way}{against} is "
            f"{number(came.reached)}, {wanted(goal)}"
        )
    return "\n".join(lines)
