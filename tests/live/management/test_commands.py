"""The commands `denoise` and `denoise_worker`: what they print, and what signals do to them."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live.cluster_processes import WORKER_READY
from tests.processes import ROOT, manage
from tests.sites import Site
from tests.waiting import wait_for

SAMPLE = ROOT / "denoise_relay" / "static" / "denoise_relay" / "sample.mp3"


def test_shell_writes_the_result_beside_the_file(migrated_database: Path, tmp_path: Path) -> None:
    site = Site(tmp_path, migrated_database, DENOISE_RELAY_BACKEND="local")
    recording = tmp_path / "talk.mp3"
    recording.write_bytes(SAMPLE.read_bytes())

    out = site.manage("denoise", recording)

    assert out == f"{tmp_path / 'talk-denoised.flac'}\n"
    assert (tmp_path / "talk-denoised.flac").read_bytes().startswith(b"fLaC")


@pytest.fixture
def site(migrated_database: Path, tmp_path: Path) -> Iterator[Site]:
    """A site in which nothing runs but what the test starts."""
    backend = "tests.db.scripted_backends.QuickBackend"
    with Site(tmp_path, migrated_database, DENOISE_RELAY_BACKEND=backend) as site:
        yield site


def hanging(folder: Path) -> Path:
    """A recording that `QuickBackend` never ends; real media, because the file is validated."""
    recording = folder / "talk.mp3"
    recording.write_bytes(SAMPLE.read_bytes() + b"hang")
    return recording


def only_job(site: Site) -> dict[str, Any]:
    """The site's job, or nothing before there is one."""
    found = site.rows("SELECT * FROM denoise_relay_job")
    return found[0] if found else {}


def test_ctrl_c_cancels_what_the_shell_waits_for(site: Site) -> None:
    command = site.start("denoise", manage("denoise", hanging(site.folder)))
    wait_for(lambda: only_job(site).get("status") == "processing", within=30)
    command.send(signal.SIGINT)
    assert command.wait(15) == 130

    assert only_job(site)["status"] == "canceled"
    assert "Interrupted; unfinished jobs were canceled." in command.output
    assert "Traceback" not in command.output


def test_worker_releases_its_job_at_the_first_signal(site: Site) -> None:
    worker = site.start("worker", manage("denoise_worker", "--max-jobs", "3"))
    shell = site.start(
        "denoise", manage("denoise", hanging(site.folder)), DENOISE_RELAY_WORKER="external"
    )
    try:
        wait_for(lambda: only_job(site).get("status") == "processing", within=30)
        assert only_job(site)["lease_owner"]

        code, seconds = worker.terminate(within=15)

        assert code == 0, worker.output
        assert seconds < 10
        row = only_job(site)
        assert (row["status"], row["lease_owner"]) == ("processing", "")
        assert "up to 3 jobs at a time" in worker.output
    finally:
        shell.kill()


def test_second_signal_ends_a_worker_at_once(site: Site) -> None:
    worker = site.start("worker", manage("denoise_worker"))
    worker.wait_for_output(WORKER_READY)
    worker.freeze()  # so that it gets both at once
    worker.send(signal.SIGTERM)
    worker.send(signal.SIGINT)
    worker.resume()

    assert worker.wait(5) in (128 + signal.SIGINT, 128 + signal.SIGTERM)
