"""Faults on demand: early answers, resets, drips, silence, floods."""

from __future__ import annotations

import asyncio
import contextlib
import time

import pytest

from denoise_relay.testing import ScriptedUpstream, answers
from denoise_relay.testing.pytest_plugin import scripted_upstream  # noqa: F401
from tests.contract.testing.requests import ask, get, parse, post
from tests.waiting import eventually


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


async def test_a_slow_answer_and_a_pause_take_their_time(upstream: ScriptedUpstream) -> None:
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
async def test_the_server_goes_on_after_what_is_no_request(
    upstream: ScriptedUpstream, noise: bytes
) -> None:
    with contextlib.suppress(ConnectionError):
        reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port)
        writer.write(noise)
        writer.write_eof()
        await reader.read()
        writer.close()
        await writer.wait_closed()
    assert parse(await ask(upstream, get("/denoise"))) == (200, [])
