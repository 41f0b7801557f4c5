"""Waiting for a condition under a deadline, which is how tests wait; they never just sleep."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
PAUSE_SECONDS = 0.01


def wait_for(condition: Callable[[], T], within: float = 10.0) -> T:
    """Call `condition` until it returns something true, and return that.

    Raises `TimeoutError` naming the condition after `within` seconds.
    """
    deadline = time.monotonic() + within
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {within} s: {_words(condition)}")
        time.sleep(PAUSE_SECONDS)
    return value


async def eventually(condition: Callable[[], T | Awaitable[T]], within: float = 10.0) -> T:
    """`wait_for` that leaves the loop running; `condition` may be a coroutine function."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while True:
        found = condition()
        value = await found if inspect.isawaitable(found) else found
        if value:
            return value
        if loop.time() > deadline:
            raise TimeoutError(f"not within {within} s: {_words(condition)}")
        await asyncio.sleep(PAUSE_SECONDS)


def _words(condition: Callable[..., object]) -> str:
    try:
        return inspect.getsource(condition).strip()
    except (OSError, TypeError):
        return repr(condition)
