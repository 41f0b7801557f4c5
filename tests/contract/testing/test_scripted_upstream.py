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
import time
import wave
from typing import Any

import pytest

from denoise_relay.testing import ScriptedUpstream, answers, silent_wav
from denoise_relay.testing.pytest_plugin import scripted_upstream  # noqa: F401
from tests.waiting import eventually

KEY = "x-api-key: scripted-key\r\n"


async def ask(upstream: ScriptedUpstream, request: str | bytes) -> bytes:
    """Send bytes, return everything that comes back until the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port)
    writer.write(request.encode() if isinstance(request, str) else request)
    try:
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def get(path: str, headers: str = KEY) -> str:
    return f"GET /api/v1{path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n"


def post(content: bytes, file_name: str = "a.wav", field: str = "audio", cut: int = 0) -> bytes:
    body = (
        f'--b\r\nContent-Disposition: form-data; name="{field}"; filename="{file_name}"\r\n'
        "Content-Type: audio/wav\r\n\r\n"
    ).encode() + content + b"\r\n--b--\r\n"  # fmt: skip
    head = (
        f"POST /api/v1/denoise HTTP/1.1\r\nHost: x\r\n{KEY}"
        "Content-Type: multipart/form-data; boundary=b\r\n"
        f"Content-Length: {len(body) - cut}\r\n\r\n"
    )
    return head.encode() + body[: len(body) - cut]


def parse(response: bytes) -> tuple[int, Any]:
    head, _, body = response.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


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
    with wave.open(io.BytesIO(silent_wav(0.5))) as file:
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


async def test_scripts_go_first_and_in_order(upstream: ScriptedUpstream) -> None:
    upstream.on_list(answers.error(429, "slow down", retry_after="7"), answers.contract())
    first = await ask(upstream, get("/denoise"))
    assert b"Retry-After: 7" in first
    assert parse(first) == (429, {"errorCode": "42901", "errorMessage": "slow down"})
    assert parse(await ask(upstream, get("/denoise"))) == (200, [])


async def test_an_early_answer_does_not_read_the_body(upstream: ScriptedUpstream) -> None:
    upstream.on_submit(answers.error(401))
    head = post(b"x" * 100).partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    assert parse(await ask(upstream, head))[0] == 401


async def test_a_reset_is_a_reset(upstream: ScriptedUpstream) -> None:
    upstream.on_list(answers.raw(b"HTTP/1.1 200 OK\r\n") + answers.reset())
    with pytest.raises(ConnectionResetError):
        await ask(upstream, get("/denoise"))


async def test_a_drip_drips_and_silence_is_silent(upstream: ScriptedUpstream) -> None:
    upstream.on_list(answers.drip(b"abc", seconds=0.02) + answers.silence(0.05))
    before = time.monotonic()
    assert await ask(upstream, get("/denoise")) == b"abc"
    assert time.monotonic() - before >= 0.11


async def test_silence_ends_when_the_client_goes(upstream: ScriptedUpstream) -> None:
    upstream.on_list(answers.silence())
    _reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port)
    writer.write(get("/denoise").encode())
    await eventually(lambda: upstream.open_connections == 1)
    writer.close()
    await writer.wait_closed()
    await eventually(lambda: upstream.open_connections == 0)


async def test_a_flood_is_sent_as_fast_as_it_is_read(upstream: ScriptedUpstream) -> None:
    upstream.on_list(answers.raw(b"x" * 1000, times=5000))
    assert len(await ask(upstream, get("/denoise"))) == 5_000_000


async def test_streams_with_and_without_chunks(upstream: ScriptedUpstream) -> None:
    event = answers.processing(5, "x")
    upstream.on_progress(
        answers.stream(event), answers.chunked_stream(event, finish=False), answers.chunked_stream()
    )
    bodies = [
        (await ask(upstream, get("/denoise/x/progress"))).partition(b"\r\n\r\n")[2]
        for _ in range(3)
    ]
    assert bodies == [event, answers.chunk(event), b"0\r\n\r\n"]


async def test_connections_can_be_refused_and_accepted_again(upstream: ScriptedUpstream) -> None:
    port = upstream.port
    await upstream.refuse_connections()
    with pytest.raises(ConnectionRefusedError):
        await ask(upstream, get("/denoise"))
    await upstream.accept_connections()
    assert upstream.port == port
    assert parse(await ask(upstream, get("/denoise"))) == (200, [])


@pytest.mark.parametrize(
    "noise", [b"", b"\r\n\r\n", b"GET\r\n\r\n", b"\xff" * 100 + b"\r\n\r\n", b"x" * 200_000]
)
async def test_noise_is_survived(upstream: ScriptedUpstream, noise: bytes) -> None:
    with contextlib.suppress(ConnectionError):
        reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port)
        writer.write(noise)
        writer.write_eof()
        await reader.read()
        writer.close()
        await writer.wait_closed()
    assert parse(await ask(upstream, get("/denoise"))) == (200, [])


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
