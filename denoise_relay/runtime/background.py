"""Background tasks: named, owned, and restarted when they end unexpectedly."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from denoise_relay.runtime import logs

T = TypeVar("T")
Work = Callable[[], Coroutine[Any, Any, None]]

#: Between the unexpected end of a task and its restart.
RESTART_SECONDS = 1.0


def spawn(work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
    """Start a task in a new context; the caller keeps a reference to it and ends it.

    A context inherited from a request would keep that request's thread-sensitive thread, and with
    it a database connection, for the task's whole life (20 such tasks: 20 of each).
    """
    loop = asyncio.get_running_loop()
    return loop.create_task(work, name=name, context=contextvars.Context())


class SupervisedTasks:
    """Endless tasks of one owner.

    A task that ends without `stop`, by an error or otherwise, is logged, reported to `on_broken`
    by its name, and restarted after `RESTART_SECONDS`.
    """

    def __init__(self, on_broken: Callable[[str], None] | None = None) -> None:
        self._on_broken = on_broken
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._restarting = True

    @property
    def alive(self) -> bool:
        """Whether there are tasks and all of them run."""
        return bool(self._tasks) and not any(task.done() for task in self._tasks.values())

    def start(self, name: str, work: Work) -> None:
        """Run `work()` until `stop`, restarting it where needed."""
        self._restarting = True
        self._spawn(name, work)

    async def stop(self) -> None:
        """Cancel all tasks and wait for their ends. May be repeated."""
        self._restarting = False
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def stop_restarting(self) -> None:
        """Let tasks end: none is restarted from now on."""
        self._restarting = False

    async def wait_for(self, name: str) -> None:
        """Return once the running task of this name has ended, at once if there is none."""
        task = self._tasks.get(name)
        if task is not None:
            await asyncio.wait({task})

    def _spawn(self, name: str, work: Work) -> None:
        task = self._tasks[name] = spawn(work(), name)
        task.add_done_callback(lambda ended: self._on_end(name, work, ended))

    def _on_end(self, name: str, work: Work, task: asyncio.Task[None]) -> None:
        # Read in any case: the garbage collector reports an exception that nobody has read.
        error = None if task.cancelled() else task.exception()
        if not self._restarting:
            return
        logs.logger.critical(
            "The task %s broke and starts again",
            name,
            exc_info=error,
            extra=logs.fields("task_broke", task=name),
        )
        if self._on_broken is not None:
            self._on_broken(name)
        task.get_loop().call_later(RESTART_SECONDS, self._restart, name, work)

    def _restart(self, name: str, work: Work) -> None:
        if self._restarting:
            self._spawn(name, work)
