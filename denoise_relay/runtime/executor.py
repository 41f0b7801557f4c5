"""A default executor of the event loop that is large enough for what shares it."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from weakref import WeakSet

#: Storage, uploads, downloads, media and DNS lookups share these threads, and most of them wait
#: for a disk or a network. By default Python has 6 on two cores, so that six slow ones stop all.
THREADS = 32

_enlarged: WeakSet[asyncio.AbstractEventLoop] = WeakSet()


def enlarge_default_executor() -> None:
    """Give the running loop `THREADS` threads for `asyncio.to_thread`. May be repeated.

    Called by what owns a process: the servers' start, and the commands that run jobs.
    """
    loop = asyncio.get_running_loop()
    if loop not in _enlarged:
        _enlarged.add(loop)
        loop.set_default_executor(ThreadPoolExecutor(THREADS, thread_name_prefix="denoise-default"))
