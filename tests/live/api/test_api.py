"""The north API under Daphne, as its clients use it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.processes import ROOT, WebProcess
from tests.sites import Site
from tests.waiting import wait_for

SAMPLE = ROOT / "denoise_relay" / "static" / "denoise_relay" / "sample.mp3"
LONG_BYTES = 64 * 1024 * 1024


@pytest.fixture(scope="module")
def site(migrated_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("api")
    with Site(folder, migrated_database, DENOISE_RELAY_BACKEND="local") as site:
        yield site


@pytest.fixture(scope="module")
def web(site: Site) -> WebProcess:
    """Daphne with an embedded worker."""
    return site.serve(ready_path="/healthz/ready").wait_until_ready(within=40)


@pytest.fixture(scope="module")
def client(site: Site, web: WebProcess) -> Iterator[httpx.Client]:
    """A client with a key that an administrator has made."""
    key = site.manage("create_api_key", "test").strip()
    with httpx.Client(
        base_url=f"{web.url}/api/v1", headers={"x-api-key": key}, trust_env=False, timeout=30
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


def test_submit_follow_progress_and_fetch_the_result_by_its_link(
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
    # After the end, a client is told the terminal event alone.
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


def test_download_that_is_cut_off_leaves_no_file_open(
    client: httpx.Client, web: WebProcess, site: Site
) -> None:
    job = submit(client)
    url = follow(client, job)[-1]["url"]
    (row,) = site.rows("SELECT result FROM denoise_relay_job WHERE id = %s", job)
    stored = site.media / row["result"]
    with stored.open("r+b") as file:
        file.truncate(LONG_BYTES)

    def open_files() -> list[str]:
        return [name for name in descriptors(web.pid) if "/media/denoise/" in name]

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
