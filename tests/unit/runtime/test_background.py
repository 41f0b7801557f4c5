from __future__ import annotations

import asyncio
import contextvars

import pytest

from denoise_relay.runtime import background
from denoise_relay.runtime.background import SupervisedTasks, spawn
from tests.waiting import eventually

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="fresh")


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "RESTART_SECONDS", 0.01)


async def test_a_task_inherits_no_context() -> None:
    async def read() -> str:
        return variable.get()

    variable.set("of a request")

    assert await spawn(read(), "test-task") == "fresh"


@pytest.mark.parametrize("how", ["raises", "returns", "is cancelled"])
async def test_a_task_that_ends_is_reported_and_restarted(
    how: str, caplog: pytest.LogCaptureFixture
) -> None:
    starts: list[int] = []
    broken: list[tuple[str, bool]] = []

    async def work() -> None:
        starts.append(1)
        if len(starts) == 1:
            if how == "raises":
                raise RuntimeError("a bug")
            if how == "is cancelled":
                raise asyncio.CancelledError
            return
        await asyncio.Event().wait()

    tasks = SupervisedTasks(on_broken=lambda name: broken.append((name, tasks.alive)))
    tasks.start("test-task", work)
    await eventually(lambda: tasks.alive and len(starts) == 2)
    await tasks.stop()

    assert broken == [("test-task", False)]
    assert [record.levelname for record in caplog.records] == ["CRITICAL"]
    assert ("a bug" in caplog.text) == (how == "raises")
    assert not tasks.alive


async def test_after_a_stop_nothing_starts() -> None:
    starts: list[int] = []

    async def work() -> None:
        starts.append(1)
        raise RuntimeError("a bug")

    before = asyncio.all_tasks()
    tasks = SupervisedTasks()
    tasks.start("test-task", work)
    await eventually(lambda: starts)
    await tasks.stop()
    await tasks.stop()
    seen = len(starts)
    await asyncio.sleep(0.05)  # several times as long as a restart takes

    assert len(starts) == seen
    assert asyncio.all_tasks() == before


async def test_waiting_for_an_end_that_is_allowed() -> None:
    gate = asyncio.Event()

    async def work() -> None:
        await gate.wait()

    tasks = SupervisedTasks()
    tasks.start("test-task", work)
    tasks.stop_restarting()
    gate.set()
    async with asyncio.timeout(5):
        await tasks.wait_for("test-task")
        await tasks.wait_for("unknown")
    await tasks.stop()
