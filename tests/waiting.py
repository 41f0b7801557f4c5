"""Waiting for a condition until a deadline. Tests use this instead of a fixed sleep."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
#: Between two looks at the condition.
PAUSE_SECONDS = 0.01


def wait_for(condition: Callable[[], T], within: float = 10.0) -> T:
    """Call `condition` until it returns something true, and return that.

    Raises `TimeoutError` with the condition's source after `within` seconds.
    """
    deadline = time.monotonic() + within
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {within} s: {_source(condition)}")
        time.sleep(PAUSE_SECONDS)
    return value


async def eventually(condition: Callable[[], T | Awaitable[T]], within: float = 10.0) -> T:
    """`wait_for` for async tests: the loop goes on; `condition` may be a coroutine function."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while True:
        found = condition()
        value = await found if inspect.isawaitable(found) else found
        if value:
            return value
        if loop.time() > deadline:
            raise TimeoutError(f"not within {within} s: {_source(condition)}")
        await asyncio.sleep(PAUSE_SECONDS)


def _source(condition: Callable[..., object]) -> str:
    try:
        return inspect.getsource(condition).strip()
    except (OSError, TypeError):
        return repr(condition)
