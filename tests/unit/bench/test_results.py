"""The file of results, and processes that are watched."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from bench import results
from bench.process import CORES, pinned, serving
from bench.report import METRICS, Area, Figure
from tests.waiting import wait_for


def test_an_area_replaces_its_older_results_only(tmp_path: Path) -> None:
    figure = Figure(case="c", way="w", metric=next(iter(METRICS)), values=(1.0,))
    document = results.new(1)
    for area in (Area(name="a", title="A"), Area(name="b", title="B")):
        document = results.with_area(document, area)
    results.save(document, tmp_path)
    document = results.load(tmp_path, 1)
    document = results.with_area(document, Area(name="a", title="A", figures=(figure,)))
    results.save(document, tmp_path)

    first, second = results.areas(results.read(tmp_path / results.FILE))
    assert (first.name, first.figures, second.name) == ("a", (figure,), "b")
    assert [path.name for path in tmp_path.iterdir()] == [results.FILE]


def test_the_machine_is_described_and_not_named() -> None:
    described = " ".join(results.machine().values())
    assert "Linux" in described
    assert os.uname().nodename not in described.split()


BUSY_CHILD = "import subprocess, sys; subprocess.run([sys.executable, '-c', '''{}'''])"
SPIN = "import time, threading\nwhile time.process_time() < 0.3: pass\nthreading.Event().wait()"


def test_the_cpu_time_of_children_counts_and_they_end_with_their_parent() -> None:
    with serving([sys.executable, "-c", BUSY_CHILD.format(SPIN)]) as server:
        wait_for(lambda: server.cpu_seconds() >= 0.3, within=20)
        assert server.cpu_seconds() < 5
        parent, child = server.processes()
        assert parent == server.pid
        assert os.sched_getaffinity(child) == {CORES[-1]}
        assert server.resident_mib() >= server.proportional_mib() > 0
    # Somebody else's to bury now: a zombie has ended, too.
    wait_for(lambda: not Path(f"/proc/{child}/exe").exists())


def test_a_server_that_ends_at_once_is_an_error() -> None:
    with (
        pytest.raises(RuntimeError, match="code 3"),
        serving([sys.executable, "-c", "raise SystemExit(3)"], port=1),
    ):
        raise AssertionError("unreachable")


def test_pinned_gives_the_cores_back() -> None:
    before = os.sched_getaffinity(0)
    with pinned(CORES[:1]):
        assert os.sched_getaffinity(0) == {CORES[0]}
    assert os.sched_getaffinity(0) == before
