"""docs/performance.md from the results: what is between two markers is ours, the rest a person's.

`<!-- bench: NAME -->` begins what is generated, `<!-- /bench -->` ends it. Run
`python -m bench --render` to write the page anew without measuring.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench import plots
from bench.report import METRICS, MORE_IS_BETTER, Area, Figure, Outcome, number, outcome, wanted
from bench.results import Document, areas

PAGE = "performance.md"
IMAGES = "images"
BLOCK = re.compile(r"(<!-- bench: (\w+) -->\n).*?(<!-- /bench -->)", re.DOTALL)
#: Servers in the table of which to use when, as they are named in ways ("relay on Daphne").
SERVERS = ("Daphne", "Daphne, public ASGI", "uvicorn", "granian")
VERDICTS = {True: "met", False: "**missed**", None: "not measured"}


def write(document: Document, folder: Path, template: str) -> None:
    """Write the page and its plots into a folder; plots of an older run go."""
    images = folder / IMAGES
    images.mkdir(parents=True, exist_ok=True)
    drawn = drawings(document)
    for old in images.glob("bench-*.svg"):
        if old.name not in drawn:
            old.unlink()
    for name, svg in drawn.items():
        (images / name).write_text(svg)
    (folder / PAGE).write_text(filled(template, document))


def filled(template: str, document: Document) -> str:
    """The page with its blocks generated. Raises `KeyError` for a block that nobody makes."""
    blocks = {
        "machine": _machine(document),
        "goals": _goals(areas(document)),
        "servers": _servers(areas(document)),
        "plots": _plots(document),
        "figures": _figures(areas(document)),
    }
    return replaced(template, blocks)


def replaced(template: str, blocks: Mapping[str, str]) -> str:
    """The text with what is between markers replaced. Raises `KeyError` as `filled`."""
    return BLOCK.sub(lambda found: f"{found[1]}\n{blocks[found[2]]}\n\n{found[3]}", template)


def drawings(document: Document) -> dict[str, str]:
    """`{file name: SVG}`: a plot for each area and metric in which we stand beside a rival."""
    return {name: svg for name, _, svg in _drawn(document)}


def _drawn(document: Document) -> list[tuple[str, str, str]]:
    """File name, title and SVG."""
    found = []
    for area in areas(document):
        metrics = dict.fromkeys(goal.metric for goal in area.goals if goal.beside)
        for metric in metrics:
            shown = _beside_each_other([f for f in area.figures if f.metric == metric])
            if not shown:
                continue
            ours = frozenset(goal.way for goal in area.goals)
            ours |= {figure.way for figure in shown if figure.way.startswith("relay")}
            title = f"{area.title}: {metric}"
            better = "more" if metric in MORE_IS_BETTER else "less"
            note = f"bold: the relay; {better} is better; the line is the spread of the rounds"
            slug = re.sub(r"[^a-z0-9]+", "-", metric.replace("µ", "u").lower()).strip("-")
            svg = plots.bars(title, shown, ours, note)
            found.append((f"bench-{area.name}-{slug}.svg", title, svg))
    return found


def _beside_each_other(figures: Sequence[Figure]) -> list[Figure]:
    """Of cases that were done in more than one way."""
    cases = [figure.case for figure in figures]
    return [figure for figure in figures if cases.count(figure.case) > 1]


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Cells must not have line ends; a bar becomes a slash."""
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    lines += [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows]
    return "\n".join(lines)


def _machine(document: Document) -> str:
    versions = document["versions"].items()
    installed = ", ".join(f"{name} {version}" for name, version in versions if version != "-")
    missing = ", ".join(name for name, version in versions if version == "-")
    rows = [[name, value] for name, value in document["machine"].items()]
    rows += [
        ["measured", f"{document['measured']}, {document['rounds']} rounds"],
        ["versions", installed],
    ]
    if missing:
        rows.append(["not installed, so left out", missing])
    return markdown_table(["", ""], rows)


def _goals(found: Sequence[Area]) -> str:
    """One table of all goals, in the order of the areas; a failed area says so."""
    rows = []
    for area in found:
        if area.error:
            rows.append(
                [
                    area.title,
                    "",
                    "",
                    "",
                    "",
                    "",
                    f"**failed**: {area.error.strip().splitlines()[-1]}",
                ]
            )
        rows += [_goal(outcome(goal, area.figures)) for goal in area.goals]
    head = ["work", "measured", "ours", "beside it", "ours / beside", "wanted", ""]
    return markdown_table(head, rows)


def _goal(came: Outcome) -> list[str]:
    goal = came.goal
    beside = f"{goal.beside} {number(came.theirs)}" if goal.beside else "-"
    if goal.beside_case:
        beside = f"{beside} ({goal.beside_case})"
    return [
        goal.case,
        goal.metric,
        f"{goal.way} {number(came.ours)}",
        beside,
        number(came.reached) if goal.beside else "-",
        wanted(goal),
        VERDICTS[came.met],
    ]


def _servers(found: Sequence[Area]) -> str:
    """Every case that was measured on more than one of the servers."""
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for area in found:
        for figure in area.figures:
            server = figure.way.removeprefix("relay on ")
            if server in SERVERS and server != figure.way:
                row = cells.setdefault((figure.case, figure.metric), {})
                row[server] = number(figure.median)
    rows = [
        [case, metric, *(row.get(server, "-") for server in SERVERS)]
        for (case, metric), row in cells.items()
        if len(row) > 1
    ]
    return markdown_table(["work", "measured", *SERVERS], rows)


def _plots(document: Document) -> str:
    return "\n\n".join(f"![{title}]({IMAGES}/{name})" for name, title, _ in _drawn(document))


def _figures(found: Sequence[Area]) -> str:
    """Everything that was measured, and what the metrics mean."""
    parts = []
    for area in found:
        rows = [
            [
                figure.case,
                figure.way,
                figure.metric,
                number(figure.median),
                f"{number(min(figure.values))} to {number(max(figure.values))}",
            ]
            for figure in area.figures
        ]
        head = ["work", "way", "measured", "median", "rounds"]
        parts.append(f"### {area.title}\n\n{markdown_table(head, rows)}")
    used = {figure.metric for area in found for figure in area.figures}
    meanings = [[name, meaning] for name, meaning in METRICS.items() if name in used]
    parts.append(f"### What was measured\n\n{markdown_table(['', ''], meanings)}")
    return "\n\n".join(parts)
