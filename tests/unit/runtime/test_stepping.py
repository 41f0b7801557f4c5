from __future__ import annotations

import asyncio
import contextvars
from typing import Any

import pytest

from denoise_relay.runtime.stepping import stepper

_variable: contextvars.ContextVar[str] = contextvars.ContextVar("test", default="unset")


async def test_what_does_not_wait_ends_at_once_and_leaves_no_task() -> None:
    done, before = [], asyncio.all_tasks()

    async def work() -> None:
        done.append(1)

    assert [stepper().run(work(), "test") for _ in range(3)] == [None] * 3
    assert len(done) == 3
    assert asyncio.all_tasks() == before


async def test_what_waits_goes_on_in_a_task_of_that_name() -> None:
    seen: list[Any] = []
    gate, second = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        seen.append(asyncio.current_task())
        await gate.wait()
        seen.append(asyncio.current_task())
        await second.wait()
        await asyncio.sleep(0)
        seen.append(asyncio.current_task())

    task = stepper().run(work(), "test-send")
    assert task is not None
    assert task.get_name() == "test-send"
    assert task in asyncio.all_tasks()
    gate.set()
    second.set()
    await task
    # The same from the first step on.
    assert seen == [task] * 3


async def test_the_caller_stays_the_current_task() -> None:
    me = asyncio.current_task()

    async def work() -> None:
        assert asyncio.current_task() is not me

    stepper().run(work(), "test")

    assert asyncio.current_task() is me


async def test_it_may_be_called_from_a_callback() -> None:
    ended: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def work() -> None:
        ended.set_result(asyncio.current_task())

    asyncio.get_running_loop().call_soon(lambda: stepper().run(work(), "test"))

    assert await ended is not None


async def test_a_time_limit_that_begins_in_the_first_step_ends_that_work_only() -> None:
    outcome = []

    async def work() -> None:
        try:
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        except TimeoutError:
            outcome.append("timeout")

    task = stepper().run(work(), "test")
    assert task is not None
    await task

    assert outcome == ["timeout"]


async def test_errors_of_the_first_step_are_raised_and_later_ones_are_the_tasks() -> None:
    async def at_once() -> None:
        raise ValueError("first")

    async def later() -> None:
        await asyncio.sleep(0)
        raise ValueError("later")

    with pytest.raises(ValueError, match="first"):
        stepper().run(at_once(), "test")
    task = stepper().run(later(), "test")
    assert task is not None
    with pytest.raises(ValueError, match="later"):
        await task


async def test_a_cancelled_task_runs_the_clean_up_of_its_work() -> None:
    ends = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ends.append("clean")

    for turns in (0, 1):
        task = stepper().run(work(), "test")
        assert task is not None
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()
    assert ends == ["clean"] * 2


async def test_the_context_is_not_the_callers() -> None:
    _variable.set("caller's")
    seen = []

    async def work() -> None:
        seen.append(_variable.get())
        await asyncio.sleep(0)
        seen.append(_variable.get())

    task = stepper().run(work(), "test")
    assert task is not None
    await task

    assert seen == ["unset"] * 2


async def test_many_at_once_and_one_of_them_waits() -> None:
    me = asyncio.current_task()
    ran: list[Any] = []
    gate = asyncio.Event()

    async def work(number: int) -> None:
        ran.append(number)
        if number == 1:
            await gate.wait()
            ran.append(asyncio.current_task())

    with stepper(), stepper():
        tasks = [stepper().run(work(number), "test") for number in range(4)]

    assert asyncio.current_task() is me
    assert ran == [0, 1, 2, 3]
    assert [task is None for task in tasks] == [True, False, True, True]
    gate.set()
    assert tasks[1] is not None
    await tasks[1]
    assert ran[4:] == [tasks[1]]


async def test_what_such_work_starts_itself_gets_a_task() -> None:
    ran = []

    async def inner() -> None:
        ran.append("inner")

    async def outer() -> None:
        task = stepper().run(inner(), "test")
        assert task is not None
        ran.append("outer")
        await task

    task = stepper().run(outer(), "test")
    assert task is not None
    await task

    assert ran == ["outer", "inner"]
