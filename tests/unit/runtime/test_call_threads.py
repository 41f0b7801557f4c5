"""Threads that run calls for event loops: how many, in which order, and how they end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from denoise_relay.runtime.call_threads import CallThreads

Make = Callable[..., CallThreads]


def nothing() -> None:
    """What the threads of a test begin with."""


@pytest.fixture
def threads() -> Iterator[Make]:
    made: list[CallThreads] = []

    def make(count: int, begin: Callable[[], None] = nothing) -> CallThreads:
        made.append(CallThreads("test", count, begin))
        return made[-1]

    yield make
    for each in made:
        each.stop()


def here() -> int:
    return threading.get_ident()


async def test_a_call_returns_or_raises_what_the_function_does(threads: Make) -> None:
    pool = threads(1)

    assert await pool.call(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        await pool.call(lambda: 1 / 0)
    assert await pool.call(here) != here()


async def test_one_after_another_keeps_to_one_thread(threads: Make) -> None:
    pool = threads(4)

    assert len({await pool.call(here) for _ in range(20)}) == 1


async def test_as_many_at_once_as_threads_and_no_more(threads: Make) -> None:
    pool, gate, began = threads(3), threading.Event(), threading.Semaphore(0)

    def wait() -> int:
        began.release()
        assert gate.wait(10)
        return here()

    calls = [pool.call(wait) for _ in range(9)]
    for _ in range(3):
        assert await asyncio.to_thread(began.acquire, timeout=10)
    assert not began.acquire(blocking=False), "the fourth call waits"
    gate.set()

    assert len(set(await asyncio.gather(*calls))) == 3


async def test_each_thread_begins_before_its_first_call(threads: Make) -> None:
    begun: list[int] = []
    pool = threads(2, lambda: begun.append(here()))

    assert await pool.call(here) in begun


async def test_a_cancelled_call_that_waits_is_not_made(threads: Make) -> None:
    pool, gate = threads(1), threading.Event()
    made: list[str] = []

    first = pool.call(lambda: gate.wait(10))
    second = pool.call(lambda: made.append("second"))
    second.cancel()
    gate.set()
    assert await first
    await pool.call(lambda: made.append("third"))

    assert made == ["third"]


async def test_stop_makes_what_waits_and_refuses_the_rest(threads: Make) -> None:
    pool = threads(1)
    made: list[int] = []
    calls = [pool.call(partial(made.append, number)) for number in range(5)]

    await asyncio.to_thread(pool.stop)

    assert made == list(range(5))
    await asyncio.gather(*calls)
    with pytest.raises(RuntimeError, match="have ended"):
        pool.call(nothing)


def test_a_loop_that_has_closed_ends_no_thread(threads: Make) -> None:
    pool, gate = threads(1), threading.Event()

    async def leave() -> None:
        pool.call(lambda: gate.wait(10))

    asyncio.run(leave())
    gate.set()

    async def again() -> None:
        assert await pool.call(lambda: 7) == 7

    asyncio.run(again())
