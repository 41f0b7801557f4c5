"""Background tasks: named, owned, and started again when they break."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from denoise_relay.runtime import logs

T = TypeVar("T")
Work = Callable[[], Coroutine[Any, Any, None]]

REVIVE_SECONDS = 1.0
"""Before a task that broke is started again."""


def spawn(work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
    """Start a task in a fresh context; the caller keeps and ends it.

    A context inherited from a request would pin that request's thread-sensitive thread, and
    with it a database connection, for the task's whole life (20 such tasks: 20 of each).
    """
    loop = asyncio.get_running_loop()
    return loop.create_task(work, name=name, context=contextvars.Context())


def _nothing(_name: str) -> None:
    """When nobody wants to know."""


class SupervisedTasks:
    """Endless tasks of one owner. One that ends, whatever the reason, is logged, told to
    `on_broken`, and started again a moment later."""

    def __init__(self, on_broken: Callable[[str], None] = _nothing) -> None:
        self._on_broken = on_broken
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._stopped = False

    @property
    def alive(self) -> bool:
        """Whether there are tasks and all of them run."""
        return bool(self._tasks) and not any(task.done() for task in self._tasks.values())

    def start(self, name: str, work: Work) -> None:
        """Run `work()` until `stop`."""
        self._stopped = False
        self._begin(name, work)

    async def stop(self) -> None:
        """Cancel all and wait for their ends. May be repeated."""
        self._stopped = True
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def ended(self, name: str) -> None:
        """Return once this task, as it runs now, has ended by itself or broke."""
        task = self._tasks.get(name)
        if task is not None:
            await asyncio.wait({task})

    def expect_ends(self) -> None:
        """From now on tasks may end: none is started again."""
        self._stopped = True

    def _begin(self, name: str, work: Work) -> None:
        task = self._tasks[name] = spawn(work(), name)
        task.add_done_callback(lambda ended: self._ended(name, work, ended))

    def _ended(self, name: str, work: Work, task: asyncio.Task[None]) -> None:
        # The exception is read in any case: unread ones are reported by the garbage collector.
        error = None if task.cancelled() else task.exception()
        if self._stopped:
            return
        logs.logger.critical(
            "The task %s broke and starts again",
            name,
            exc_info=error,
            extra=logs.fields("task_broke", task=name),
        )
        self._on_broken(name)
        task.get_loop().call_later(REVIVE_SECONDS, self._revive, name, work)

    def _revive(self, name: str, work: Work) -> None:
        if not self._stopped:
            self._begin(name, work)
