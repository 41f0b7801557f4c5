"""Runs coroutines that rarely wait: to their end at once, or else on in a task.

A task costs a turn of the loop even for a coroutine that never waits, and most `send`s of an ASGI
server do not. (Python 3.12 has eager tasks, which need a new task each time.)
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Coroutine, Generator
from typing import Any
from weakref import WeakKeyDictionary

from denoise_relay.runtime.background import spawn


class _Rest:
    """Awaits what remains of a coroutine that waits for `waits_for`, which it has yielded."""

    def __init__(self, work: Coroutine[Any, Any, None], waits_for: Any) -> None:
        self._work = work
        self._waits_for = waits_for
        self._begun = False

    def close_unless_begun(self, _task: asyncio.Task[None]) -> None:
        """Clean up: the task was cancelled before its first turn."""
        if not self._begun:
            self._work.close()

    def __await__(self) -> Generator[Any, Any, None]:
        self._begun = True
        waits_for = self._waits_for
        while True:
            error: BaseException | None = None
            came = None
            try:
                came = yield waits_for
            except GeneratorExit:
                self._work.close()
                raise
            except BaseException as raised:  # noqa: BLE001 - a cancellation is the coroutine's, too
                error = raised
            try:
                waits_for = self._work.send(came) if error is None else self._work.throw(error)
            except StopIteration:
                return


class _Spare:
    """A task that waits for a coroutine to go on with. While that takes its first step, this is
    the current task: time limits that begin in the step cancel the right one."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        # Not the context of whoever publishes: see `background.spawn`.
        context = contextvars.Context()
        #: Calls a function in the context of the task.
        self.run = context.run
        self._rest: asyncio.Future[_Rest] = loop.create_future()
        self.task = loop.create_task(self._go_on(), name="denoise-spare", context=context)
        # It may wait for ever, and is nobody's to wait for or to cancel until it has work.
        self.task._log_destroy_pending = False  # type: ignore[attr-defined]
        asyncio._unregister_task(self.task)

    def take_over(self, rest: _Rest, name: str) -> asyncio.Task[None]:
        """Go on with a coroutine."""
        self.task.set_name(name)
        self.task._log_destroy_pending = True  # type: ignore[attr-defined]
        asyncio._register_task(self.task)
        self._rest.set_result(rest)
        self.task.add_done_callback(rest.close_unless_begun)
        return self.task

    async def _go_on(self) -> None:
        await (await self._rest)


class Stepper:
    """One per event loop: get it with `stepper()`.

    `with stepper():` around many calls of `run`, without an await in between, makes them cheaper.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._spare = _Spare(loop)
        #: How many `with` blocks we are in; the spare is the current task there.
        self._depth = 0
        #: Whether a coroutine takes its first step.
        self._running = False
        #: The task that called.
        self._outer: asyncio.Task[Any] | None = None

    def __enter__(self) -> None:
        self._depth += 1
        if self._depth > 1:
            return
        self._outer = asyncio.current_task(self._loop)
        if self._outer is not None:
            _leave(self._loop, self._outer)
        _enter(self._loop, self._spare.task)

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if self._depth:
            return
        _leave(self._loop, self._spare.task)
        if self._outer is not None:
            _enter(self._loop, self._outer)
        self._outer = None

    def run(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None] | None:
        """Run a coroutine until it first waits.

        Returns None if that was its end, otherwise the task that goes on with it, which the
        caller owns and may cancel. Raises what the coroutine raises before it waits. Call it on
        the loop, from a task or a callback.
        """
        if self._running:  # called by such a coroutine
            return spawn(work, name)
        if not self._depth:
            with self:
                return self.run(work, name)
        self._running = True
        try:
            waits_for = self._spare.run(work.send, None)
        except StopIteration:
            return None
        finally:
            self._running = False
        task = self._spare.take_over(_Rest(work, waits_for), name)
        _leave(self._loop, task)
        self._spare = _Spare(self._loop)
        _enter(self._loop, self._spare.task)
        return task


# For those who run coroutines themselves: https://docs.python.org/3/library/asyncio-extending.html
_enter = asyncio._enter_task
_leave = asyncio._leave_task

_steppers: WeakKeyDictionary[asyncio.AbstractEventLoop, Stepper] = WeakKeyDictionary()


def stepper() -> Stepper:
    """Return the running loop's."""
    loop = asyncio.get_running_loop()
    found = _steppers.get(loop)
    if found is None:
        found = _steppers[loop] = Stepper(loop)
    return found
