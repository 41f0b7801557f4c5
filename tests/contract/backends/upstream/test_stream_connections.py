"""The connection below an event stream: addresses, TLS, framing, back-pressure, closing."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest

from denoise_relay.backends.upstream import stream_transport
from denoise_relay.backends.upstream.errors import NotSent, OutcomeUnknown
from denoise_relay.backends.upstream.http import HttpClient
from denoise_relay.backends.upstream.stream_connection import READ_BYTES
from denoise_relay.testing import Answer, ScriptedUpstream, answers
from tests.contract.backends.upstream.streams import HELLO, client_of, read, serving
from tests.waiting import eventually


@pytest.fixture
async def http() -> AsyncIterator[HttpClient]:
    client = HttpClient()
    yield client
    await client.aclose()


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(answers.stream(HELLO), id="to the end of the connection"),
        pytest.param(answers.chunked_stream(HELLO), id="chunked"),
        pytest.param(
            answers.stream(HELLO, headers={"Content-Length": str(len(HELLO))}) + answers.silence(),
            id="of a known length",
        ),
        pytest.param(
            answers.drip(
                answers.head(200, answers.STREAM_HEADERS | {"Transfer-Encoding": "chunked"})
                + answers.chunk(HELLO)
                + b"0\r\nTrailer: x\r\n\r\n",
                seconds=0.001,
            ),
            id="byte by byte, with a trailer",
        ),
        pytest.param(
            answers.raw(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n") + answers.stream(HELLO),
            id="after early hints",
        ),
    ],
)
async def test_a_body_is_read_to_its_end(
    upstream: ScriptedUpstream, http: HttpClient, answer: Answer
) -> None:
    upstream.on_progress(answer)
    assert await read(upstream.url, http) == HELLO
    await eventually(lambda: not upstream.open_connections)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(answers.chunked_stream(HELLO, finish=False), id="no last chunk"),
        pytest.param(answers.stream(HELLO, headers={"Content-Length": "1000"}), id="too short"),
        pytest.param(
            answers.stream(b"zz\r\n", headers={"Transfer-Encoding": "chunked"}), id="no chunk"
        ),
        pytest.param(
            answers.stream(HELLO, headers={"Transfer-Encoding": "gzip, chunked"}), id="coded"
        ),
        pytest.param(answers.stream(HELLO) + answers.reset(), id="reset"),
        pytest.param(
            answers.raw(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"),
            id="another protocol",
        ),
    ],
)
async def test_a_body_that_is_cut_short_is_no_clean_end(
    upstream: ScriptedUpstream, http: HttpClient, answer: Answer
) -> None:
    upstream.on_progress(answer)
    with pytest.raises(OutcomeUnknown):
        await read(upstream.url, http)
    await eventually(lambda: not upstream.open_connections)


async def test_the_query_and_the_headers_are_sent(
    upstream: ScriptedUpstream, http: HttpClient
) -> None:
    upstream.on_progress(answers.stream(HELLO))
    async with client_of(upstream.url, http).progress("job-7"):
        pass
    seen = upstream.requests("progress")[0]
    assert seen.path.endswith("/denoise/job-7/progress")
    assert seen.headers["host"] == upstream.netloc
    assert seen.headers["accept"] == "text/event-stream"
    assert seen.headers["x-api-key"] == "k"


async def test_nobody_listens(http: HttpClient) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(NotSent, match="ConnectError"):
            await read(f"http://127.0.0.1:{taken.getsockname()[1]}", http)


async def test_a_dead_address_gives_way_to_the_next(
    upstream: ScriptedUpstream, http: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where IPv6 is announced and leads nowhere."""
    monkeypatch.setattr(stream_transport, "ADDRESS_SECONDS", 0.05)
    loop = asyncio.get_running_loop()
    living = await loop.getaddrinfo("127.0.0.1", upstream.port, type=socket.SOCK_STREAM)
    dead = ("127.0.0.2", 9)
    refused = ("127.0.0.1", 1)

    async def resolve(*_args: object, **_options: object) -> list[object]:
        return [(*living[0][:4], dead), (*living[0][:4], refused), *living]

    real = loop.sock_connect

    async def connect(candidate: socket.socket, address: tuple[str, int]) -> None:
        if address == dead:
            await asyncio.sleep(3600)
        await real(candidate, address)

    monkeypatch.setattr(loop, "getaddrinfo", resolve)
    monkeypatch.setattr(loop, "sock_connect", connect)
    upstream.on_progress(answers.stream(HELLO))
    assert await read(upstream.url, http) == HELLO


def test_addresses_of_two_families_are_tried_in_turn() -> None:
    six, four = socket.AF_INET6, socket.AF_INET
    found = [(six, 1), (six, 2), (six, 3), (four, 4)]
    assert stream_transport._in_turn(found) == [(six, 1), (four, 4), (six, 2), (six, 3)]
    assert stream_transport._in_turn([]) == []


async def test_a_reader_that_lags_holds_up_the_server(http: HttpClient) -> None:
    """What it did not read stays in the server and in the sockets' buffers."""
    sent = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answers.head(200, answers.STREAM_HEADERS))
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(b"x" * READ_BYTES)
                sent += READ_BYTES
                await writer.drain()

    async with serving(flood) as port:
        async with client_of(f"http://127.0.0.1:{port}", http).progress("x") as response:
            before = -1
            while sent > before:  # until the server makes no way any more
                before = sent
                for _ in range(100):
                    await asyncio.sleep(0.001)
            stream = response.stream
            held = sum(map(len, stream._received))  # type: ignore[union-attr]
            assert held <= 3 * READ_BYTES
            read = 0
            async for chunk in response.aiter_raw():
                read += len(chunk)
                if read > before:
                    break
        await http.aclose()


async def test_a_cancel_at_any_moment_leaves_no_connection(
    upstream: ScriptedUpstream, http: HttpClient
) -> None:
    upstream.on_progress(*[answers.stream(HELLO) + answers.silence()] * 60)
    for turns in range(60):
        task = asyncio.create_task(read(upstream.url, http), name="read")
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    await http.aclose()
    await eventually(lambda: not upstream.open_connections)
