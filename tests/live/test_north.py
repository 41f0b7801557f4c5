"""The north API under Daphne, and the shell beside it, as their users have them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.live.processes import ROOT, Process
from tests.ports import free_port
from tests.waiting import wait_for

SAMPLE = ROOT / "denoise_relay" / "static" / "denoise_relay" / "sample.mp3"
LONG_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Installation:
    """A folder with a database, its environment, and the commands that work in it."""

    folder: Path
    env: dict[str, str]

    def manage(self, *args: str, within: float = 60) -> str:
        """Run a command to its end; return its stdout."""
        command = [sys.executable, "manage.py", *args]
        done = subprocess.run(
            command, cwd=ROOT, env=self.env, timeout=within, check=True, stdout=subprocess.PIPE
        )
        return done.stdout.decode()

    def start(self, name: str, *args: str, **env: str) -> Process:
        return Process(name, list(args), {**self.env, **env}, self.folder / f"{name}.log")

    def row(self, job: str) -> dict[str, Any]:
        """A job, read past Django."""
        database = f"file:{self.folder}/db.sqlite3?mode=ro"
        with contextlib.closing(sqlite3.connect(database, uri=True)) as rows:
            rows.row_factory = sqlite3.Row
            query = "SELECT * FROM denoise_relay_job WHERE id = ?"
            return dict(rows.execute(query, [job.replace("-", "")]).fetchone())


def installation_in(folder: Path, **env: str) -> Installation:
    return Installation(
        folder=folder,
        env={
            "PATH": os.environ["PATH"],
            "SECRET_KEY": "a long one, for this test only, of more than fifty letters",
            "DATABASE_URL": f"sqlite:///{folder}/db.sqlite3",
            "MEDIA_ROOT": f"{folder}/media",
            "DJANGO_SETTINGS_MODULE": "project.settings",
            **env,
        },
    )


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database to copy."""
    folder = tmp_path_factory.mktemp("migrated")
    installation_in(folder).manage("migrate", "--verbosity", "0")
    return folder / "db.sqlite3"


@pytest.fixture(scope="module")
def installed(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    folder = tmp_path_factory.mktemp("north")
    shutil.copy(migrated, folder)
    return installation_in(folder, DENOISE_RELAY_BACKEND="local")


@pytest.fixture(scope="module")
def server(installed: Installation) -> Iterator[tuple[Process, str]]:
    """Daphne with an embedded worker, and its address."""
    port = free_port()
    process = installed.start("daphne", "-m", "daphne", "-p", str(port), "project.asgi:application")
    url = f"http://127.0.0.1:{port}"

    def ready() -> bool:
        assert process.running, process.text
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{url}/healthz/ready", trust_env=False).status_code == 200
        return False

    try:
        wait_for(ready, within=40)
        yield process, url
    finally:
        process.end()


@pytest.fixture(scope="module")
def client(installed: Installation, server: tuple[Process, str]) -> Iterator[httpx.Client]:
    """A client with a key, made as an administrator makes one."""
    key = installed.manage("create_api_key", "test").strip()
    _process, url = server
    with httpx.Client(
        base_url=f"{url}/api/v1", headers={"x-api-key": key}, trust_env=False, timeout=30
    ) as client:
        yield client


def submit(client: httpx.Client) -> str:
    answer = client.post("/denoise", files={"audio": ("Team call.mp3", SAMPLE.read_bytes())})
    assert answer.status_code == 200, answer.text
    job: str = answer.json()["denoiseId"]
    return job


def follow(client: httpx.Client, job: str) -> list[dict[str, Any]]:
    """Every message until the server closes."""
    found = []
    with client.stream("GET", f"/denoise/{job}/progress") as stream:
        assert stream.status_code == 200
        assert stream.headers["content-type"] == "text/event-stream"
        for line in stream.iter_lines():
            if line.startswith("data: "):
                found.append(json.loads(line.removeprefix("data: ")))
    return found


def test_file_goes_in_progress_comes_live_and_the_result_is_fetched_by_its_link(
    client: httpx.Client,
) -> None:
    job = submit(client)

    messages = follow(client, job)

    *progress, last = messages
    assert len(progress) >= 3
    assert {message["stage"] for message in progress} == {"processing"}
    percents = [message["pct"] for message in progress]
    assert percents == sorted(percents)
    assert (last["stage"], last["denoiseId"]) == ("done", job)
    # Whoever comes late is told the end alone.
    (again,) = follow(client, job)
    assert again["stage"] == "done"

    result = httpx.get(last["url"], trust_env=False)
    assert result.status_code == 200
    assert result.content.startswith(b"fLaC")
    part = httpx.get(last["url"], trust_env=False, headers={"range": "bytes=4-99"})
    assert (part.status_code, part.content) == (206, result.content[4:100])
    assert httpx.get(last["url"].partition("?")[0], trust_env=False).status_code == 404

    record = next(item for item in client.get("/denoise").json() if item["id"] == job)
    assert (record["status"], record["file_name"]) == ("success", "Team call.mp3")
    assert httpx.get(record["audio_url"], trust_env=False).content == result.content


def test_unknown_job_is_json_and_not_a_stream(client: httpx.Client) -> None:
    answer = client.get("/denoise/5b1d2f7e-3f81-4c2a-9c5d-7a2e91b4c7a1/progress")

    assert answer.status_code == 404
    assert answer.json()["errorCode"] == "40401"


def test_listener_who_hangs_up_leaves_no_file_open(
    client: httpx.Client, server: tuple[Process, str], installed: Installation
) -> None:
    process, _url = server
    job = submit(client)
    url = follow(client, job)[-1]["url"]
    stored = installed.folder / "media" / installed.row(job)["result"]
    with stored.open("r+b") as file:
        file.truncate(LONG_BYTES)

    def open_files() -> list[str]:
        return [name for name in descriptors(process.pid) if "/media/denoise/" in name]

    for _ in range(3):
        with httpx.stream("GET", url, trust_env=False) as stream:
            next(stream.iter_raw())

    wait_for(lambda: not open_files(), within=15)
    assert client.get("/denoise?limit=1").status_code == 200


def descriptors(pid: int) -> list[str]:
    """What a process has open."""
    found = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.append(str(link.readlink()))
    return found


def test_shell_writes_the_result_beside_the_file(
    client: httpx.Client, installed: Installation, tmp_path: Path
) -> None:
    recording = tmp_path / "talk.mp3"
    recording.write_bytes(SAMPLE.read_bytes())

    out = installed.manage("denoise", str(recording))

    assert out == f"{tmp_path / 'talk-denoised.flac'}\n"
    assert (tmp_path / "talk-denoised.flac").read_bytes().startswith(b"fLaC")


# Signals, in a folder without a server


@pytest.fixture
def lonely(migrated: Path, tmp_path: Path) -> Installation:
    """An installation in which nothing runs but what the test starts."""
    shutil.copy(migrated, tmp_path)
    backend = "tests.db.scripted_backends.QuickBackend"
    return installation_in(tmp_path, DENOISE_RELAY_BACKEND=backend)


def hanging(folder: Path) -> Path:
    """A recording that `QuickBackend` never ends; real media, because the door looks inside."""
    recording = folder / "talk.mp3"
    recording.write_bytes(SAMPLE.read_bytes() + b"hang")
    return recording


def only_job(installation: Installation) -> dict[str, Any]:
    database = f"file:{installation.folder}/db.sqlite3?mode=ro"
    with contextlib.closing(sqlite3.connect(database, uri=True)) as rows:
        rows.row_factory = sqlite3.Row
        found = rows.execute("SELECT * FROM denoise_relay_job").fetchall()
    return dict(found[0]) if found else {}


def test_ctrl_c_cancels_what_the_shell_waits_for(lonely: Installation) -> None:
    command = lonely.start("denoise", "manage.py", "denoise", str(hanging(lonely.folder)))
    try:
        wait_for(lambda: only_job(lonely).get("status") == "processing", within=30)
        command.signal(signal.SIGINT)
        assert command.ended(15) == 130
    finally:
        command.end()

    assert only_job(lonely)["status"] == "canceled"
    assert "Interrupted; unfinished jobs were canceled." in command.text
    assert "Traceback" not in command.text


def test_worker_hands_its_job_back_at_the_first_signal(lonely: Installation) -> None:
    worker = lonely.start("worker", "manage.py", "denoise_worker", "--max-jobs", "3")
    shell = lonely.start(
        "denoise",
        "manage.py",
        "denoise",
        str(hanging(lonely.folder)),
        DENOISE_RELAY_WORKER="external",
    )
    try:
        wait_for(lambda: only_job(lonely).get("status") == "processing", within=30)
        assert only_job(lonely)["lease_owner"]

        code, seconds = worker.terminate(within=15)

        assert code == 0, worker.text
        assert seconds < 10
        row = only_job(lonely)
        assert (row["status"], row["lease_owner"]) == ("processing", "")
        assert "up to 3 jobs at a time" in worker.text
    finally:
        shell.kill9()
        worker.end()


def test_second_signal_ends_a_worker_at_once(lonely: Installation) -> None:
    worker = lonely.start("worker", "manage.py", "denoise_worker")
    try:
        worker.said("jobs at a time")
        worker.signal(signal.SIGSTOP)  # so that it finds both at once
        worker.signal(signal.SIGTERM)
        worker.signal(signal.SIGINT)
        worker.signal(signal.SIGCONT)

        assert worker.ended(5) in (128 + signal.SIGINT, 128 + signal.SIGTERM)
    finally:
        worker.end()
