"""A viewer that notes how old each event is when it is read, and a job of the relay to watch."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass

import httpx
from websockets.asyncio.client import connect

from bench.process import Server

#: Events that are not counted: connections are opened and caches filled meanwhile.
FIRST = 40


@dataclass(frozen=True)
class Seen:
    """One stream, from its event `FIRST` on."""

    #: Seconds from the upstream's write to the viewer's read, sorted.
    latencies: list[float]
    #: Of the server, for each event.
    cpu_seconds: float


async def watch(server: Server, path: str, cookies: str = "") -> Seen:
    """Read a stream of events to its terminal one."""
    found: list[float] = []
    begun = 0.0
    url = f"ws://127.0.0.1:{server.port}{path}"
    headers = {"Cookie": cookies} if cookies else {}
    async with connect(url, additional_headers=headers, proxy=None, compression=None) as socket:
        async for text in socket:
            now = time.monotonic()
            event = json.loads(text)
            if event["stage"] != "processing":
                break
            if re.fullmatch(r"\d+\.\d{6}", event["message"]):
                found.append(now - float(event["message"]))
                begun = begun or (server.cpu_seconds() if len(found) == FIRST else 0.0)
                cpu = server.cpu_seconds() if len(found) > FIRST else 0.0
    return Seen(sorted(found[FIRST:]), (cpu - begun) / (len(found) - FIRST))


async def watch_relay(server: Server) -> Seen:
    """The same of a new job of the relay's demo site."""
    base = f"http://127.0.0.1:{server.port}"
    async with httpx.AsyncClient(base_url=base, timeout=30, trust_env=False) as client:
        page = await client.get("/")
        found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
        if found is None:
            raise RuntimeError("the upload page has no form")
        answer = await client.post("/", data={"csrfmiddlewaretoken": found[1], "sample": "1"})
        job = answer.headers["location"].rstrip("/").rpartition("/")[2]
        cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    return await watch(server, f"/ws/denoise/{job}/?after=0", cookies)
