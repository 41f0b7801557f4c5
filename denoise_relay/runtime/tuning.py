"""What a process that runs for long does to Python once: rarer garbage collections, uvloop.

Each server process and each worker calls `tune` when it has started; a worker also takes its event
loop from `loop_factory`. (Servers make their loop before they load us; docs/operations.md says how
each is given uvloop.)
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import importlib.util
from collections.abc import Callable

from denoise_relay.conf import relay_settings

#: Collections of the middle generation before a full one. Python's 10 were made for programs with
#: less memory that lives: with 1,000 viewers a full one stops the process for a tenth of a second.
#: With 100, garbage in cycles waits so long that a process of 300 jobs has 50 kB of it for each.
FULL_COLLECTION_EVERY = 20

_tuned = False


def tune() -> None:
    """Let the collector pass over what was loaded until now, and look through the rest more rarely.

    Once in a process; nothing with `TUNE_GC` off. Cycles that are garbage are still found, only
    later: what we make and drop for each event, frame and viewer has none.
    """
    global _tuned
    if _tuned or not relay_settings().TUNE_GC:
        return
    _tuned = True
    gc.collect()  # what is garbage now would stay for ever
    gc.freeze()
    young, middle, _old = gc.get_threshold()
    gc.set_threshold(young, middle, FULL_COLLECTION_EVERY)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes the event loop, for `asyncio.Runner`: uvloop's where it is installed and `UVLOOP`
    is on; None for Python's own."""
    if not relay_settings().UVLOOP or importlib.util.find_spec("uvloop") is None:
        return None
    make: Callable[[], asyncio.AbstractEventLoop] = importlib.import_module("uvloop").new_event_loop
    return make
