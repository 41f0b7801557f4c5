"""The outbox: in order, together under load, bounded, and nobody waits without end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from denoise_relay.events import Event, Stage
from denoise_relay.frames import Frame, make_frame, parse_frame
from denoise_relay.pubsub import outbox
from denoise_relay.pubsub.messages import ALL_JOBS, WORK, Message
from denoise_relay.pubsub.outbox import BURST, RATE, Outbox

JOB = uuid4()


def frame(seq: int) -> Frame:
    at = datetime.now(UTC)
    return make_frame(
        Event(job=JOB, seq=seq, stage=Stage.PROCESSING, pct=1.0, message="Running", at=at)
    )


class Server:
    """Takes messages, one send at a time, when it is not held up."""

    def __init__(self) -> None:
        self.sends: list[list[Message]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.error: Exception | None = None

    async def send(self, messages: Sequence[Message]) -> None:
        self.sends.append(list(messages))
        if self.error is not None:
            raise self.error
        await self.open.wait()

    @property
    def seqs(self) -> list[list[int]]:
        return [
            [
                parse_frame(line).seq
                for _, message in send
                if "frame" in message
                for line in message["frame"].split("\n")
            ]
            for send in self.sends
        ]


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def box(server: Server) -> Outbox:
    return Outbox(server.send, lambda: 2)


async def test_what_comes_during_a_send_goes_together_and_in_order(
    server: Server, box: Outbox
) -> None:
    server.open.clear()
    box.put([frame(1)])
    await asyncio.sleep(0)
    for seq in range(2, 7):
        box.put([frame(seq)])
    box.put_work()
    server.open.set()
    async with asyncio.timeout(5):
        await box.sent()

    assert server.seqs == [[1], [2, 3, 4, 5, 6]]
    assert [group for group, _ in server.sends[1]] == [ALL_JOBS, WORK[0]]


async def test_who_publishes_now_and_then_never_waits(server: Server, box: Outbox) -> None:
    for seq in range(int(BURST)):
        box.put([frame(seq + 1)])
        await asyncio.sleep(0)  # the task starts, sends, and ends
        await asyncio.sleep(0)

    assert len(server.sends) == BURST


async def test_sends_are_limited_under_load(
    server: Server, box: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a second of the loop's time, whatever the machine's: 200 sends, and the burst."""
    now = 0.0
    loop = asyncio.get_running_loop()

    async def sleep(seconds: float) -> None:
        nonlocal now
        now += max(seconds, 0.0005)
        await real(0)

    real = asyncio.sleep
    monkeypatch.setattr(loop, "time", lambda: now)
    monkeypatch.setattr(outbox.asyncio, "sleep", sleep)
    put = 0
    while now < 1:
        put += 1
        box.put([frame(put)])
        await sleep(0)
    monkeypatch.undo()
    async with asyncio.timeout(5):
        await box.sent()

    assert sum(map(len, server.seqs)) == put
    assert len(server.sends) <= RATE + BURST + 2


async def test_sent_returns_though_others_go_on(server: Server, box: Outbox) -> None:
    async def others() -> None:
        for seq in range(1, 1_000_000):
            box.put([frame(seq)])
            await asyncio.sleep(0)

    going_on = asyncio.ensure_future(others())
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await box.sent()
    assert not going_on.done()
    going_on.cancel()
    async with asyncio.timeout(5):
        await box.sent()
        await box.sent()  # with nothing to send


async def test_frames_that_wait_are_bounded_and_the_newest_stay(
    server: Server, box: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "LIMIT", 10)
    server.open.clear()
    box.put([frame(1)])
    await asyncio.sleep(0)
    for seq in range(2, 50):
        box.put([frame(seq)])
    server.open.set()
    async with asyncio.timeout(5):
        await box.sent()

    assert server.seqs == [[1], list(range(40, 50))]


async def test_nobody_waits_for_a_sender_that_has_ended(server: Server, box: Outbox) -> None:
    server.error = RuntimeError("a bug")
    box.put([frame(1)])
    async with asyncio.timeout(5):
        await box.sent()
    if (task := box._task) is not None:
        await asyncio.wait({task})
        assert isinstance(task.exception(), RuntimeError)
    server.error = None
    box.put([frame(2)])
    async with asyncio.timeout(5):
        await box.sent()

    assert server.seqs == [[1], [2]]
