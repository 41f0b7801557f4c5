from __future__ import annotations

import asyncio
import threading

from denoise_relay.runtime.executor import enlarge_default_executor


async def test_many_blocking_calls_run_at_a_time() -> None:
    enlarge_default_executor()
    enlarge_default_executor()
    all_here = threading.Barrier(20, timeout=10)

    await asyncio.gather(*(asyncio.to_thread(all_here.wait) for _ in range(20)))
