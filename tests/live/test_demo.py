"""`make demo`, from the first line to the last."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect

from tests.live.demo_process import (
    DemoProcess,
    alive,
    children_of,
    elapsed_since,
)
from tests.live.forms import submit
from tests.live.recordings import tone_in_noise
from tests.ports import free_row
from tests.waiting import wait_for

pytestmark = pytest.mark.timeout(150)

STOP_SECONDS = 3.0


async def frames(demo: DemoProcess, browser: httpx.Client, job: str) -> list[dict[str, object]]:
    """Watch a job from its first event to the last over the page's WebSocket."""
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    async with connect(
        f"ws://127.0.0.1:{demo.port}/ws/denoise/{job}/?after=0",
        origin=demo.url,  # type: ignore[arg-type]
        additional_headers={"Cookie": cookies},
        proxy=None,
    ) as socket_:
        received = [json.loads(text) async for text in socket_]
        assert socket_.close_code == 1000
        return received


async def test_recording_goes_in_and_comes_out_while_people_watch(tmp_path: Path) -> None:
    with DemoProcess(tmp_path / "demo") as demo, demo.ready().browser() as browser:
        job = submit(browser)
        seen = await frames(demo, browser, job)
        assert [frame["seq"] for frame in seen] == list(range(1, len(seen) + 1))
        assert [frame["stage"] for frame in seen[:-1]] == ["processing"] * (len(seen) - 1)
        assert seen[-1]["stage"] == "done", seen[-1]
        assert sorted(frame["pct"] for frame in seen) == [frame["pct"] for frame in seen]  # type: ignore[type-var]
        assert len({frame["pct"] for frame in seen}) > 3

        for kind in ("original", "denoised"):
            part = browser.get(f"/jobs/{job}/audio/{kind}/", headers={"Range": "bytes=0-99"})
            assert part.status_code == 206
            assert len(part.content) == 100
            assert part.headers["content-range"].startswith("bytes 0-99/")

        begun = time.monotonic()
        demo.send(signal.SIGINT)
        assert demo.ended(within=10) == 0
        assert elapsed_since(begun) < STOP_SECONDS
        assert "Traceback" not in demo.output
        assert "Traceback" not in "".join(p.read_text() for p in tmp_path.glob("demo/*/log.txt"))


@pytest.mark.parametrize("offset", [0, 1], ids=["site", "service"])
def test_taken_port_is_one_clear_line_and_nothing_has_started(tmp_path: Path, offset: int) -> None:
    port = free_row(2)
    with (
        socket.create_server(("127.0.0.1", port + offset)),
        DemoProcess(tmp_path / "demo", port=port) as demo,
    ):
        assert demo.ended(within=20) == 1
        (line,) = demo.output.splitlines()
        assert f"Port {port + offset}" in line
        assert "taken" in line
    assert not (tmp_path / "demo").exists()


def test_unfinished_job_goes_on_at_the_next_start_without_any_request(tmp_path: Path) -> None:
    with DemoProcess(tmp_path / "demo") as demo, demo.ready().browser() as browser:
        job = submit(browser, recording=tone_in_noise(seconds=90))
        wait_for(lambda: any(pct > 0 for _, _, pct in demo.journal(job)), within=30)
        demo.send(signal.SIGTERM)
        assert demo.ended(within=10) == 0
        unfinished = demo.journal(job)
        assert unfinished[-1][1] == "processing"

    with DemoProcess(tmp_path / "demo") as demo:
        demo.ready()
        wait_for(lambda: demo.journal(job)[-1][1] != "processing", within=90)
        events = demo.journal(job)
    assert [stage for _, stage, _ in events if stage != "processing"] == ["done"]
    assert [seq for seq, _, _ in events] == list(range(1, len(events) + 1))
    assert events[: len(unfinished)] == unfinished


def test_kill_of_the_parent_ends_its_children(tmp_path: Path) -> None:
    with DemoProcess(tmp_path / "demo") as demo:
        children = demo.ready().children()
        assert len(children) == 2
        os.kill(demo.pid, signal.SIGKILL)
        assert demo.ended(within=10) == -signal.SIGKILL
        wait_for(lambda: not any(map(alive, children)), within=10)


def test_kill_of_make_ends_everything(tmp_path: Path) -> None:
    """`make demo` is two processes to whoever started it, and one thing to stop."""
    with DemoProcess(tmp_path / "demo", make=True) as demo:
        (command,) = demo.ready().children()
        sites = children_of(command)
        assert len(sites) == 2
        os.kill(demo.pid, signal.SIGKILL)
        wait_for(lambda: not any(map(alive, [command, *sites])), within=10)


def test_death_of_a_child_ends_the_demo_and_shows_its_last_lines(tmp_path: Path) -> None:
    with DemoProcess(tmp_path / "demo") as demo:
        children = demo.ready().children()
        log = tmp_path / "demo/service/log.txt"
        with log.open("a") as lines:
            lines.write("the reason, in the log\n")
        os.kill(children[0], signal.SIGKILL)
        assert demo.ended(within=10) == 1
        assert "ended by itself" in demo.output
        assert "the reason, in the log" in demo.output
        assert "Traceback" not in demo.output
        wait_for(lambda: not any(map(alive, children)), within=5)


def test_two_demos_have_a_folder_each(tmp_path: Path) -> None:
    with DemoProcess(tmp_path / "demo") as first:
        first.ready()
        with DemoProcess(tmp_path / "demo") as second:
            second.ready()
            assert (tmp_path / f"demo-{second.port}/site/db.sqlite3").is_file()


def test_key_is_in_no_argument_log_or_output(tmp_path: Path) -> None:
    with DemoProcess(tmp_path / "demo") as demo:
        children = demo.ready().children()
        key = (tmp_path / "demo/service/api_key").read_text()
        assert len(key) > 20
        shown = [demo.output, *(p.read_text() for p in tmp_path.glob("demo/*/log.txt"))]
        shown += [Path(f"/proc/{pid}/cmdline").read_text() for pid in [demo.pid, *children]]
        assert not [text for text in shown if key in text]
        assert (tmp_path / "demo/service/api_key").stat().st_mode & 0o777 == 0o600
