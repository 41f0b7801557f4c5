"""`python -m bench.simulate`: the capacity model, from the results of the bench.

Says how near the model comes to what was measured, and what a site needs, up to a million viewers
and 100,000 jobs at once. `--write` puts it into docs/scaling.md. The exit code is 1 if a measured
point is missed by more than a fifth.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path

from bench import results
from bench.page import markdown_table, replaced
from bench.process import ROOT
from bench.report import number
from bench.scaling import capacity, measured
from bench.scaling.capacity import Constants, Layout, Load
from bench.scaling.checks import TOLERANCE, Check, checks
from bench.scaling.costs import Grouped
from bench.scaling.measured import Measured
from bench.scaling.pipeline import simulate

PAGE = "scaling.md"
#: Jobs at once, and viewers.
STEPS = ((10, 100), (100, 1_000), (1_000, 10_000), (10_000, 100_000), (100_000, 1_000_000))
#: Of each job in a second: an upstream's usual pace, and others for the largest step.
EVENTS_PER_SECOND = 2.0
RATES = (0.5, 1.0, 2.0, 5.0, 10.0)
#: Load over plan at which a part of the site has broken.
BROKEN = 1.0


def main() -> int:
    """Print, and write where asked."""
    parser = argparse.ArgumentParser(prog="bench.simulate", description=__doc__)
    parser.add_argument("--results", type=Path, default=ROOT / "docs" / results.FILE)
    parser.add_argument("--write", action="store_true", help="docs/scaling.md, too")
    options = parser.parse_args()
    document = results.read(options.results)
    try:
        blocks, good = simulated(document)
    except measured.NotMeasured as missing:
        print(f"Not measured: {missing}. Run `make bench`.", file=sys.stderr)
        return 2
    for name, block in blocks.items():
        print(f"\n{name}\n{block}")
    if options.write:
        write(document, ROOT / "docs")
    return int(not good)


def write(document: results.Document, folder: Path) -> None:
    """Write the page into a folder. Raises `NotMeasured`."""
    blocks, _ = simulated(document)
    (folder / PAGE).write_text(replaced((ROOT / "docs" / PAGE).read_text(), blocks))


def simulated(document: results.Document) -> tuple[dict[str, str], bool]:
    """The blocks of docs/scaling.md, and whether every point is met. Raises `NotMeasured`."""
    found = Measured(results.areas(document))
    site = measured.constants(found)
    alone = measured.embedded(found, site)
    points = list(checks(found))
    blocks = {
        "constants": _constants(site, alone),
        "check": _check(points),
        "steps": _steps(site, alone),
        "rates": _rates(site),
        "latency": _latency(site),
    }
    return blocks, all(point.good for point in points)


def _constants(site: Constants, alone: Constants) -> str:
    fanout = site.fanout
    many = fanout.warm_us + fanout.cold_us
    memory = (site.process_kib / 1024, site.viewer_kib, site.stream_kib)
    rows = {
        "publishing to viewers of the same process: each commit": _us(fanout.publish_us),
        "… each event in it": _us(fanout.event_us),
        "… each viewer's frame, with few sockets and with many": _us(fanout.warm_us, many),
        "receiving from another process: each message, each event in it": _pair(site.receive),
        "telling other processes: each message, each event in it": _pair(site.tell),
        "Valkey, for each process told: each message, each event in it": _pair(site.valkey),
        "reading an event from the upstream": _us(site.read_us),
        "journal on PostgreSQL, the worker's CPU: each commit, each event": _pair(site.journal),
        "… PostgreSQL's time, the disk included": _pair(site.database),
        "journal on SQLite, all of it": _pair(alone.commit),
        "a viewer to whom nothing happens, each second": _us(site.idle_us),
        "memory of a process": f"{number(memory[0])} MiB",
        "memory of a viewer, of an upstream stream": "{}, {} KiB".format(*map(number, memory[1:])),
    }
    return markdown_table(["", "CPU or memory"], [list(row) for row in rows.items()])


def _us(*values: float) -> str:
    return f"{', '.join(map(number, values))} µs"


def _pair(cost: Grouped) -> str:
    return _us(cost.group_us, cost.each_us)


def _check(points: list[Check]) -> str:
    rows = [
        [
            point.what,
            point.metric,
            number(point.measured),
            number(point.predicted),
            f"{point.off:+.0%}" if point.good else f"**{point.off:+.0%}**",
        ]
        for point in points
    ]
    good = sum(point.good for point in points)
    head = ["point", "metric", "measured", "model", "off"]
    table = markdown_table(head, rows)
    return f"{table}\n\n{good} of {len(points)} points are within {TOLERANCE:.0%}."


def _steps(site: Constants, alone: Constants) -> str:
    """For each load what it needs, and what would have broken first with what the last one had."""
    rows = []
    layout, costs = Layout(web=1, workers=0, together=True), alone
    for jobs, viewers in STEPS:
        load = Load(jobs=jobs, viewers=viewers, events_per_second=EVENTS_PER_SECOND)
        broken = "nothing"
        if (used := _uses(load, layout, costs))[0].share > BROKEN:
            broken = "; ".join(f"{u.name} ({u.share:.1f} x)" for u in used if u.share > BROKEN)
            layout, costs = capacity.plan(load, site), site
        rows.append(
            [
                f"{jobs:,} jobs, {viewers:,} viewers",
                broken,
                _described(layout),
                f"{layout.sites * (layout.web + layout.workers)}",
                f"{capacity.memory_gib(load, layout, costs):.1f} GiB",
                f"{load.part(layout.sites).events:,.0f}",
                f"{load.frames:,.0f}",
                f"{(now := _uses(load, layout, costs)[0]).name} ({now.share:.0%})",
            ]
        )
    head = ["at once", "breaks with the row above", "what carries it", "cores", "memory"]
    return markdown_table([*head, "events/s per site", "frames/s", "scarcest now, of plan"], rows)


def _uses(load: Load, layout: Layout, costs: Constants) -> list[capacity.Use]:
    together = dataclasses.replace(layout, workers=max(1, layout.workers))
    return capacity.uses(load, together, costs)


def _described(layout: Layout) -> str:
    if layout.together:
        return "one process, SQLite"
    site = f"{layout.web} web, {layout.workers} workers, PostgreSQL, Valkey"
    return site if layout.sites == 1 else f"{layout.sites} sites, each {site}"


def _rates(site: Constants) -> str:
    """The largest step, where jobs report more or less often."""
    jobs, viewers = STEPS[-1]
    rows = []
    for rate in RATES:
        load = Load(jobs=jobs, viewers=viewers, events_per_second=rate)
        layout = capacity.plan(load, site)
        rows.append(
            [
                f"{rate:g}",
                _described(layout),
                f"{layout.sites * (layout.web + layout.workers)}",
                capacity.uses(load, layout, site)[0].name,
            ]
        )
    return markdown_table(["events of a job in a second", "layout", "cores", "scarcest"], rows)


def _latency(site: Constants) -> str:
    """One worker and one web process, simulated with more and more jobs of ten viewers."""
    rows = []
    for jobs in (1, 10, 100, 300, 1_000, 2_000):
        came = simulate(
            jobs=jobs,
            viewers=10,
            events_per_second=EVENTS_PER_SECOND,
            journal=site.commit,
            fanout=site.fanout,
        )
        rows.append(
            [
                f"{jobs:,}",
                f"{came.group:.1f}",
                f"{came.committing:.0%}",
                f"{came.web_busy:.0%}",
                f"{came.p50_ms:.1f}",
                f"{came.p99_ms:.1f}",
                f"{came.replaced:.1%}",
            ]
        )
    head = ["jobs", "events in a commit", "worker commits", "web process works"]
    return markdown_table([*head, "p50 ms", "p99 ms", "replaced by newer"], rows)


if __name__ == "__main__":
    sys.exit(main())
