"""An area that fails or hangs is reported, and neither stops the others nor leaves processes."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from bench import __main__ as main
from bench import results
from bench.report import Area, Figure, Goal
from tests.waiting import wait_for

FIGURE = Figure(case="c", way="w", metric="ms", values=(1.0,))
GOAL = Goal(case="c", metric="ms", way="w", beside="", limit=2)


def module(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A bench that measures nothing, as `bench.<name>`."""
    made = ModuleType(f"bench.{name}")
    made.TITLE, made.GOALS, made.run = "Fake", (GOAL,), lambda rounds: [FIGURE]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, made.__name__, made)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    return made


def measured(tmp_path: Path) -> Area:
    target = tmp_path / "area.json"
    main._measure("fake", 1, target)
    return Area.from_json(json.loads(target.read_text()))


def test_an_area_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module("fake", monkeypatch)
    area = measured(tmp_path)
    assert (area.title, area.goals, area.figures, area.error) == ("Fake", (GOAL,), (FIGURE,), "")


def test_a_failure_is_written_with_the_goals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(rounds: int) -> list[Figure]:
        raise OSError("no port")

    module("fake", monkeypatch).run = fails  # type: ignore[attr-defined]
    area = measured(tmp_path)
    assert (area.goals, area.figures, area.error) == ((GOAL,), (), "OSError: no port")


def test_a_failed_area_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    areas = {
        "bad": Area(name="bad", title="Bad", goals=(GOAL,), error="OSError: no port"),
        "good": Area(name="good", title="Good", goals=(GOAL,), figures=(FIGURE,)),
    }
    monkeypatch.setattr(main, "AREAS", dict.fromkeys(areas, 1))
    monkeypatch.setattr(main, "_run", lambda name, rounds: areas[name])
    options = argparse.Namespace(areas=[], output=tmp_path, rounds=1)

    assert main._measure_areas([], options) == 1
    assert results.areas(results.read(tmp_path / results.FILE)) == list(areas.values())
    page = (tmp_path / "performance.md").read_text()
    assert "**failed**: OSError: no port" in page
    assert "| at most 2 ms | met |" in page


STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""


def test_an_area_that_does_not_end_is_killed_with_its_children(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(main, "STOP_SECONDS", 0.2)
    process = subprocess.Popen(
        [sys.executable, "-c", STUBBORN], start_new_session=True, stdout=subprocess.PIPE
    )
    with process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        main._end(process)
        assert process.returncode == -signal.SIGKILL
        # Somebody else's to bury now: a zombie has ended, too.
        wait_for(lambda: not os.path.exists(f"/proc/{child}/exe"))
