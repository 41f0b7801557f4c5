"""The reading process: `python -m bench.ingest.reading WAY PORT STREAMS`.

Follows so many streams, and says on stdout what it has used, as CPU seconds until the question and
until the answer, events and resident KiB: after the imports, after a few streams, whenever a line
comes on stdin, and once every stream has ended.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import time
from pathlib import Path

from bench.ingest.upstream import WARM_UP
from bench.ingest.ways import WAYS

#: Requests that are on their way at once: a service is not asked for a thousand in one moment.
AT_ONCE = 50


def main() -> None:
    """Read until every stream has ended."""
    way, port, streams = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    name, _, loop = way.partition(", ")
    if loop == "uvloop":
        import uvloop

        uvloop.run(_read(name, port, streams))
    else:
        asyncio.run(_read(name, port, streams))


async def _read(name: str, port: int, streams: int) -> None:
    events = 0

    def tally() -> None:
        nonlocal events
        events += 1

    def tell() -> None:
        cpu = time.process_time()  # before the collection, which is not the streams'
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        resident = pages * os.sysconf("SC_PAGE_SIZE") // 1024
        print(cpu, time.process_time(), events, resident, flush=True)

    def asked() -> None:
        for _ in os.read(0, 4096).splitlines():
            tell()

    follow = WAYS[name](port, tally)
    tell()
    await asyncio.gather(*[follow() for _ in range(WARM_UP)])
    tell()
    asyncio.get_running_loop().add_reader(0, asked)
    tasks = []
    for number in range(streams):
        tasks.append(asyncio.create_task(follow(), name=f"stream {number}"))  # type: ignore[arg-type]
        if number % AT_ONCE == AT_ONCE - 1:
            await asyncio.sleep(0.01)
    await asyncio.gather(*tasks)
    tell()
    os._exit(0)  # at once: what the libraries do at exit is not measured


if __name__ == "__main__":
    main()
