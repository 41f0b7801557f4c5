"""`python -m bench [AREA …]`: measure all areas, or some, each in a process of its own.

Writes `performance.json` and what docs/performance.md shows of it. `quality` and `soak` print
tables of their own, when asked for by name.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from dataclasses import replace
from pathlib import Path

from bench import page, results, simulate
from bench.process import ROOT
from bench.report import Area, table
from bench.scaling.measured import NotMeasured

#: In this order; with the seconds that a round may take before the area is ended.
AREAS = {
    "fanout": 600,
    "idle": 150,
    "pubsub": 240,
    "ingest": 240,
    "journal": 180,
    "latency": 180,
    "engine": 180,
    "pages": 180,
    "startup": 120,
}
OTHERS = ("quality", "soak")
#: One takes thirteen minutes. Medians want three or more.
ROUNDS = 1
STOP_SECONDS = 20.0


def main() -> int:
    """Measure, print, write. The exit code is 1 if an area failed."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("areas", nargs="*", metavar="AREA", help=", ".join([*AREAS, *OTHERS]))
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"default: {ROUNDS}")
    parser.add_argument(
        "--output",
        type=Path,
        help="folder of performance.json and the page; default: docs, or var/bench for some areas",
    )
    parser.add_argument(
        "--render", action="store_true", help="write the page from the results that are there"
    )
    parser.add_argument("--jobs", type=int, default=3000, help="of the soak")
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if unknown := set(options.areas) - {*AREAS, *OTHERS}:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    if options.rounds < 1:
        parser.error("--rounds must be at least 1")
    if options.write:
        _measure(options.areas[0], options.rounds, options.write)
        return 0
    if options.render:
        output = options.output or ROOT / "docs"
        _write(results.read(output / results.FILE), output)
        return 0
    for name in OTHERS:
        if name in options.areas:
            module = importlib.import_module(f"bench.{name}")
            module.run(options.jobs) if name == "soak" else module.run()
    return _measure_areas([a for a in options.areas if a in AREAS], options)


def _measure_areas(names: list[str], options: argparse.Namespace) -> int:
    if options.areas and not names:
        return 0
    # An area is in a session of its own: who ends us must end it, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    whole = not names
    output = options.output or ROOT / ("docs" if whole else "var/bench")
    output.mkdir(parents=True, exist_ok=True)
    document = results.new(options.rounds) if whole else results.load(output, options.rounds)
    failed = False
    for name in names or AREAS:
        area = _run(name, options.rounds)
        print(table(area), flush=True)
        failed |= bool(area.error)
        document = results.with_area(document, area)
        results.save(document, output)
    _write(document, output)
    print(f"\nWritten to {output}: {results.FILE}, {page.PAGE} and {page.IMAGES}/bench-*.svg")
    return int(failed)


def _write(document: results.Document, output: Path) -> None:
    page.write(document, output, (ROOT / "docs" / page.PAGE).read_text())
    try:
        simulate.write(document, output)
    except NotMeasured as missing:
        print(f"{simulate.PAGE} is left as it is: not measured: {missing}")


def _run(name: str, rounds: int) -> Area:
    """Measure in a process of its own, which is ended with all it started if it takes too long."""
    begun = time.monotonic()
    print(f"\n=== {name}", flush=True)
    with tempfile.TemporaryDirectory(prefix="denoise-bench-") as folder:
        target = Path(folder, "area.json")
        command = [sys.executable, "-m", "bench", name, "--rounds", str(rounds)]
        process = subprocess.Popen(
            [*command, "--write", str(target)], cwd=ROOT, start_new_session=True
        )
        error = ""
        try:
            code = process.wait(timeout=AREAS[name] * max(1, rounds / ROUNDS))
            error = f"exit code {code}" if code else ""
        except subprocess.TimeoutExpired:
            error = "it took too long"
        finally:
            _end(process)
        if target.exists():
            area = Area.from_json(json.loads(target.read_text()))
        else:
            area = Area(name=name, title=name, error=error or "it wrote nothing")
    return replace(area, seconds=round(time.monotonic() - begun, 1))


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask it to end its servers, then kill what is left in its session."""
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=STOP_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _measure(name: str, rounds: int, target: Path) -> None:
    """In the area's own process: run it and write what came of it."""
    # SIGTERM must unwind the stack, so that `finally` ends the servers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    area = Area(name=name, title=name)
    try:
        module = importlib.import_module(f"bench.{name}")
        area = replace(area, title=module.TITLE, goals=tuple(module.GOALS))
        area = replace(area, figures=tuple(module.run(rounds)))
    except Exception as error:  # noqa: BLE001  # reported; the next area runs
        traceback.print_exc()
        area = replace(area, error=f"{type(error).__name__}: {error}")
    target.write_text(json.dumps(area.to_json()))


if __name__ == "__main__":
    sys.exit(main())
