"""The fake is tested as what it is: a server, spoken to with bare sockets."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import http.client
import io
import json
import subprocess
import sys
import threading
import wave

import pytest

from denoise_relay.testing import ScriptedUpstream, answers, tone_wav
from denoise_relay.testing.pytest_plugin import scripted_upstream  # noqa: F401
from tests.contract.testing.requests import ask, get, parse, post
from tests.waiting import eventually


async def test_a_job_by_the_contract(upstream: ScriptedUpstream) -> None:
    content = b"\r\n--not the boundary\r\n" * 5
    status, ids = parse(await ask(upstream, post(content)))
    assert status == 200
    assert ids["jobId"] == ids["denoiseId"] == upstream.records[0].id
    (upload,) = upstream.uploads
    assert upload.sha256 == hashlib.sha256(content).hexdigest()
    assert (upload.file_name, upload.field, upload.content_type, upload.size_bytes) == (
        "a.wav",
        "audio",
        "audio/wav",
        len(content),
    )

    _status, (record,) = parse(await ask(upstream, get("/denoise")))
    assert (record["status"], record["audio_url"]) == ("pending", None)

    stream = await ask(upstream, get(f"/denoise/{ids['denoiseId']}/progress"))
    assert b"Content-Type: text/event-stream" in stream
    assert stream.count(b'"processing"') == 2
    assert stream.count(b'"done"') == 1
    again = await ask(upstream, get(f"/denoise/{ids['denoiseId']}/progress"))
    assert (again.count(b'"processing"'), again.count(b'"done"')) == (0, 1)

    _status, (record,) = parse(await ask(upstream, get("/denoise")))
    assert record["status"] == "success"
    assert record["audio_url"] == upstream.result_url(upstream.records[0])
    result = await ask(upstream, f"GET /results/{record['id']}.wav HTTP/1.1\r\nHost: x\r\n\r\n")
    assert result.endswith(upstream.result)
    assert upstream.counts == {"submit": 1, "list": 2, "progress": 2, "result": 1}


def test_the_result_is_a_wav() -> None:
    with wave.open(io.BytesIO(tone_wav(0.5))) as file:
        assert (file.getnframes(), file.getframerate()) == (24_000, 48_000)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (get("/denoise", ""), 401),
        (get("/denoise", "x-api-key: other\r\n"), 401),
        (get("/denoise/none/progress"), 404),
        (get("/denoise?offset=-1"), 400),
        (get("/denoise?limit=0"), 400),
        (get("/denoise?limit=x"), 400),
        (get("/elsewhere"), 404),
        (post(b"x", field="file"), 400),
        (post(b"x", cut=6), 400),
    ],
)
async def test_refusals_by_the_contract(
    upstream: ScriptedUpstream, request_: str | bytes, status: int
) -> None:
    got, body = parse(await ask(upstream, request_))
    assert got == status
    assert set(body) == {"errorCode", "errorMessage"}
    assert not upstream.records


async def test_history_is_newest_first_and_paged(upstream: ScriptedUpstream) -> None:
    for number in range(5):
        upstream.add_record(f"{number}.wav")
    _status, page = parse(await ask(upstream, get("/denoise?offset=1&limit=2")))
    assert [record["file_name"] for record in page] == ["3.wav", "2.wav"]


async def test_history_can_lag(upstream: ScriptedUpstream) -> None:
    upstream.on_submit(answers.accept(lag_lists=2) + answers.contract())
    await ask(upstream, post(b"x"))
    shown = [len(parse(await ask(upstream, get("/denoise")))[1]) for _ in range(3)]
    assert shown == [0, 0, 1]


async def test_what_is_seen(upstream: ScriptedUpstream) -> None:
    await ask(upstream, get("/denoise?limit=3"))
    (seen,) = upstream.requests("list")
    assert (seen.method, seen.path, seen.query) == ("GET", "/api/v1/denoise", {"limit": "3"})
    assert seen.headers["x-api-key"] == upstream.key


async def test_leaving_ends_every_conversation() -> None:
    before = asyncio.all_tasks()
    async with ScriptedUpstream() as upstream:
        upstream.on_list(answers.silence())
        reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port)
        writer.write(get("/denoise").encode())
        await eventually(lambda: upstream.open_connections == 1)
    assert upstream.open_connections == 0
    with contextlib.suppress(ConnectionResetError):
        assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()
    assert asyncio.all_tasks() == before


def test_in_a_thread_for_synchronous_tests(
    scripted_upstream: ScriptedUpstream,  # noqa: F811
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", scripted_upstream.port, timeout=10)
    connection.request("GET", "/api/v1/denoise", headers={"x-api-key": scripted_upstream.key})
    with contextlib.closing(connection):
        assert json.loads(connection.getresponse().read()) == []


def test_its_thread_ends_with_it() -> None:
    with ScriptedUpstream():
        assert "scripted-upstream" in {thread.name for thread in threading.enumerate()}
    assert "scripted-upstream" not in {thread.name for thread in threading.enumerate()}


def test_it_needs_no_django() -> None:
    code = (
        "import sys, denoise_relay.testing, denoise_relay.testing.server;"
        "sys.exit(any(m.partition('.')[0] in ('django', 'httpx', 'channels') for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=30, check=False).returncode == 0
