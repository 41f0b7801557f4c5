"""Starting again what died: soon if it was stable before, later and later if it was not."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest

from project.demo import processes
from project.demo.processes import Child, ProcessDied, Restarter, end_all
from tests.waiting import wait_for


def child(tmp_path: Path, module: str, *args: str) -> Child:
    return Child("worker 1", tmp_path / "log.txt", dict(os.environ), module, *args)


@pytest.fixture
def said() -> list[str]:
    return []


def test_a_pause_doubles_for_what_dies_at_once(
    tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(processes, "LONGEST_PAUSE_SECONDS", 0.03)
    sick = child(tmp_path, "this")  # prints and ends
    watch = Restarter(say=said.append)

    def looked() -> bool:
        watch.check([sick])
        return len(said) >= 7

    wait_for(looked, within=20)
    end_all([sick], within=5)
    assert said[0] == "Worker 1 has died (exit code 0); a new one in 0.01 s."
    assert re.fullmatch(r"Worker 1 starts again as process \d+\.", said[1])
    assert [float(line.split()[-2]) for line in said[::2]] == [0.01, 0.02, 0.03, 0.03]
    assert sick.log.read_text().count("The Zen of Python") >= 3  # the log goes on


def test_a_pause_is_short_for_what_was_well(
    tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(processes, "STABLE_SECONDS", 0.0)
    well = child(tmp_path, "http.server", "0")
    watch = Restarter(say=said.append)
    watch.check([well])
    assert said == []
    for _ in range(3):
        os.kill(well.pid, signal.SIGKILL)
        wait_for(lambda: watch.check([well]) or (said and "starts again" in said[-1]))
        assert said[0].startswith("Worker 1 has died (killed by SIGKILL); a new one in 0.01 s")
        said.clear()
    end_all([well], within=5)
    assert well.ended() == "killed by SIGTERM"


def test_what_never_is_ready_is_told_with_its_log(tmp_path: Path) -> None:
    slow = child(tmp_path, "http.server", "0")
    with pytest.raises(ProcessDied, match=r"The worker 1 took too long to start; see .*log\.txt"):
        slow.until(lambda: False, deadline=0)
    end_all([slow], within=5)

    gone = child(tmp_path, "no_such_module")
    with pytest.raises(ProcessDied, match=r"(?s)exit code 1\).*No module named no_such_module"):
        gone.finish(within=20)
    end_all([gone], within=5)
