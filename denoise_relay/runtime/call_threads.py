"""Threads that run calls for event loops.

`ThreadPoolExecutor` with `run_in_executor` does the same with two futures for each call, and three
locks: 74 µs of CPU for a call that does nothing, here 42 (measured). Each event takes such a call.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, NamedTuple


class _Call(NamedTuple):
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[Any]
    function: Callable[[], Any]


class CallThreads:
    """At most `count` threads, each started when more calls wait than threads. They take calls in
    order; `begin` is called first in each."""

    def __init__(self, name: str, count: int, begin: Callable[[], None]) -> None:
        self._name, self._count, self._begin = name, count, begin
        self._lock = threading.Lock()
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        #: Calls that wait or run.
        self._pending = 0
        self._stopped = False

    def call(self, function: Callable[[], Any]) -> asyncio.Future[Any]:
        """Have a thread call `function`; the future of the running loop gets what it returns or
        raises. If it is cancelled first, the function may not run. Raises `RuntimeError` after
        `stop`."""
        loop = asyncio.get_running_loop()
        answer = loop.create_future()
        with self._lock:
            if self._stopped:
                raise RuntimeError(f"the threads of {self._name} have ended")
            self._pending += 1
            if self._pending > len(self._threads) < self._count:
                self._start()
            self._calls.put(_Call(loop, answer, function))
        return answer

    def stop(self) -> None:
        """Blocks until all calls have been made and the threads have ended. May be repeated."""
        with self._lock:
            self._stopped = True
            for _ in self._threads:
                self._calls.put(None)
        for thread in self._threads:
            thread.join()

    def _start(self) -> None:
        thread = threading.Thread(
            target=self._run,
            name=f"denoise-db-{self._name}_{len(self._threads)}",
            daemon=True,  # whoever ends the process calls `stop`
        )
        thread.start()
        self._threads.append(thread)

    def _run(self) -> None:
        self._begin()
        while (call := self._calls.get()) is not None:
            self._make(call)
            del call  # or what it holds would stay until the next one

    def _make(self, call: _Call) -> None:
        result = error = None
        if not call.answer.cancelled():
            try:
                result = call.function()
            except BaseException as raised:  # noqa: BLE001 - raised where it is awaited
                error = raised
        with self._lock:
            self._pending -= 1
        with contextlib.suppress(RuntimeError):  # the loop has closed
            call.loop.call_soon_threadsafe(_settle, call.answer, result, error)
        del error  # its traceback names this frame


def _settle(answer: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if answer.done():  # cancelled
        return
    if error is None:
        answer.set_result(result)
    else:
        answer.set_exception(error)
