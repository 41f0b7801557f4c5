"""Daphne's input guard: a client that sends faster than it is answered is not read meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from denoise_relay.servers import daphne_back_pressure
from denoise_relay.servers.daphne_back_pressure import INPUT_LIMIT, _InputGuard
from tests.waiting import eventually


class _Client:
    """What the guard sees of Daphne's protocol, and of its transport."""

    STATE_CLOSED, state = 0, 3

    def __init__(self) -> None:
        self.application_queue: asyncio.Queue[bytes] = asyncio.Queue()
        self.transport = self
        self.disconnected = False
        self.calls: list[str] = []
        self.guard = _InputGuard(self)

    def pauseProducing(self) -> None:
        self.calls.append("pause")

    def resumeProducing(self) -> None:
        self.calls.append("resume")

    def say(self, messages: int) -> None:
        for _ in range(messages):
            self.application_queue.put_nowait(b"")
            self.guard.received()


@pytest.fixture
def timers(monkeypatch: pytest.MonkeyPatch) -> list[asyncio.TimerHandle]:
    """The timers that the guard makes, all of them at once."""
    monkeypatch.setattr(daphne_back_pressure, "CHECK_SECONDS", 0.01)
    made: list[asyncio.TimerHandle] = []
    real = asyncio.BaseEventLoop.call_later

    def counted(self: Any, delay: float, callback: Any, *args: Any, **kwargs: Any) -> Any:
        timer = real(self, delay, callback, *args, **kwargs)
        if getattr(callback, "__self__", None).__class__ is _InputGuard:
            made.append(timer)
        return timer

    monkeypatch.setattr(asyncio.BaseEventLoop, "call_later", counted)
    return made


async def test_one_read_with_thousands_of_messages_makes_one_timer(
    timers: list[asyncio.TimerHandle],
) -> None:
    client = _Client()

    client.say(4065)

    assert client.calls == ["pause"]
    assert len(timers) == 1


async def test_the_client_is_read_again_when_its_messages_were_handled(
    timers: list[asyncio.TimerHandle],
) -> None:
    client = _Client()
    for _ in range(2):
        client.say(INPUT_LIMIT)
        looks = len(timers)
        await eventually(lambda: len(timers) > looks)  # noqa: B023 - looked, and still full
        assert client.calls[-1] == "pause"
        while not client.application_queue.empty():
            client.application_queue.get_nowait()
        await eventually(lambda: client.calls[-1] == "resume")

    assert client.calls == ["pause", "resume", "pause", "resume"]


async def test_a_client_that_left_is_looked_at_no_more(timers: list[asyncio.TimerHandle]) -> None:
    client = _Client()
    client.say(INPUT_LIMIT)
    client.disconnected = True
    (timer,) = timers
    await eventually(lambda: timer.when() < asyncio.get_running_loop().time() - 0.02)

    assert client.calls == ["pause"]
    assert timers == [timer]
