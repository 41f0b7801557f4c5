"""Viewers over WebSockets and SSE that check every frame they receive.

The invariants (docs/architecture.md): per connection `seq` rises strictly and starts after
the requested one; a seq never has two contents; `pct` never falls; the terminal frame comes
once, last. `FrameLog.check` compares all frames with the journal's rows.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import httpx
import websockets
from websockets.asyncio.client import connect

#: Before a viewer connects again, at most.
RETRY_SECONDS = 0.3


class FrameLog:
    """The frames that all viewers of a scenario have received."""

    def __init__(self) -> None:
        #: By job and seq, the frame's text.
        self.frames: dict[str, dict[int, str]] = defaultdict(dict)
        self.viewers: dict[str, list[Viewer]] = defaultdict(list)

    def add(self, job: str, seq: int, text: str) -> None:
        known = self.frames[job].setdefault(seq, text)
        assert known == text, f"seq {seq} has two contents: {known} and {text}"

    def check(self, job: str, journal: list[dict[str, Any]]) -> None:
        """Check that the frames are the committed rows, and that all viewers saw the last."""
        rows = {row["seq"]: row for row in journal}
        for seq, text in self.frames[job].items():
            frame, row = json.loads(text), rows.get(seq)
            assert row is not None, f"seen but not in the journal: {frame}"
            assert frame["stage"] == row["stage"]
            if row["stage"] == "processing":
                assert frame["pct"] == row["pct"], (frame, row)
            assert frame.get("message", row["message"]) == row["message"], (frame, row)
        for viewer in self.viewers[job]:
            assert viewer.error is None, viewer.error
            if viewer.seen_end is not None:
                assert viewer.last == journal[-1]["seq"], (viewer.last, journal[-1])


class Viewer:
    """Watches one job over a WebSocket or SSE, and reconnects with `after=` until it ends."""

    def __init__(
        self,
        job: str,
        *,
        frames: FrameLog,
        urls: Callable[[], list[str]],
        headers: Mapping[str, str],
        kind: Literal["socket", "sse"] | str = "socket",
        after: int | None = 0,
    ) -> None:
        self.job = job
        self.kind = kind
        #: Newest seq seen; None before the first.
        self.last = after
        self.pct = 0.0
        #: `(time.monotonic(), seq)` of each frame.
        self.arrivals: list[tuple[float, int]] = []
        #: Seconds from a frame's commit (its `at`, by this machine's clock) to its arrival.
        self.delays: list[float] = []
        #: The close code of each connection; None if it was cut, or could not be made.
        self.codes: list[int | None] = []
        self.error: BaseException | None = None
        self.seen_end: float | None = None
        self._frames = frames
        self._urls = urls
        self._headers = headers
        self._turn = random.randrange(1000)
        self._task: asyncio.Task[None] | None = None
        frames.viewers[job].append(self)

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=f"viewer-{self.job[:8]}")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def finished(self, within: float = 30.0) -> None:
        """Wait until it has seen the terminal frame; raise what it found wrong."""
        assert self._task is not None
        try:
            async with asyncio.timeout(within):
                await asyncio.shield(self._task)
        except TimeoutError:
            raise AssertionError(
                f"no terminal frame within {within} s; at seq {self.last}, closes {self.codes}"
            ) from None
        if self.error is not None:
            raise self.error

    async def reached(self, seq: int, within: float = 20.0) -> None:
        """Wait until it has seen this seq or more."""
        deadline = time.monotonic() + within
        while (self.last or 0) < seq and self.error is None:
            assert time.monotonic() < deadline, f"still at {self.last}; closes {self.codes}"
            await asyncio.sleep(0.01)
        if self.error is not None:
            raise self.error

    def saw_everything(self) -> bool:
        """Whether no event is missing, from the first to the last that it saw."""
        seqs = [seq for _, seq in self.arrivals]
        return bool(seqs) and seqs == list(range(1, len(seqs) + 1))

    def longest_pause(self) -> float:
        """The longest time between two frames, in seconds."""
        times = [moment for moment, _ in self.arrivals]
        return max((b - a for a, b in itertools.pairwise(times)), default=0.0)

    async def _run(self) -> None:
        try:
            while self.seen_end is None:
                urls = self._urls()
                self._turn += 1
                if urls:
                    watch = self._watch_socket if self.kind == "socket" else self._watch_sse
                    await watch(urls[self._turn % len(urls)])
                if self.seen_end is None:
                    await asyncio.sleep(random.uniform(0.05, RETRY_SECONDS))
        except Exception as error:  # noqa: BLE001 - raised by `finished`
            self.error = error

    async def _watch_socket(self, url: str) -> None:
        here = f"{url.replace('http', 'ws', 1)}/ws/denoise/{self.job}/"
        query = "" if self.last is None else f"?after={self.last}"
        highest = self.last or 0
        try:
            async with connect(
                here + query,
                additional_headers=self._headers,
                proxy=None,
                open_timeout=5,
                ping_interval=None,
                close_timeout=2,
            ) as socket:
                async for message in socket:
                    highest = self._receive(str(message), highest)
                self.codes.append(socket.close_code)
        except websockets.ConnectionClosed as closed:
            self.codes.append(closed.rcvd.code if closed.rcvd else None)
        except (OSError, TimeoutError, websockets.InvalidHandshake, EOFError):
            self.codes.append(None)
        if self.codes[-1] == 4404:
            raise AssertionError("a job that exists answered 4404")

    async def _watch_sse(self, url: str) -> None:
        headers = dict(self._headers)
        if self.last is not None:
            headers["Last-Event-ID"] = str(self.last)
        highest = self.last or 0
        try:
            async with (
                httpx.AsyncClient(trust_env=False, timeout=httpx.Timeout(5, read=20)) as client,
                client.stream("GET", f"{url}/jobs/{self.job}/events/", headers=headers) as answer,
            ):
                if answer.status_code != 200:
                    self.codes.append(answer.status_code)
                    return
                async for line in answer.aiter_lines():
                    if line.startswith("data:"):
                        highest = self._receive(line[5:].strip(), highest)
                self.codes.append(200)
        except httpx.TransportError:
            self.codes.append(None)

    def _receive(self, text: str, highest: int) -> int:
        frame = json.loads(text)
        seq: int = frame["seq"]
        assert frame["job"] == self.job
        assert seq > highest, f"seq {seq} after {highest} on one connection"
        assert self.seen_end is None, f"a frame after the terminal one: {frame}"
        self._frames.add(self.job, seq, text)
        if frame["stage"] == "processing":
            assert frame["pct"] >= self.pct, f"pct fell from {self.pct}: {frame}"
            self.pct = frame["pct"]
        else:
            self.seen_end = time.monotonic()
        self.last = seq
        self.arrivals.append((time.monotonic(), seq))
        self.delays.append(time.time() - datetime.fromisoformat(frame["at"]).timestamp())
        return seq


async def all_reached(viewers: Sequence[Viewer], seq: int) -> None:
    """Wait until each viewer has seen this seq or more."""
    for viewer in viewers:
        await viewer.reached(seq)


async def all_finished(viewers: Sequence[Viewer], *, within: float = 30.0) -> None:
    """Wait until each viewer has seen the terminal frame, and check that it missed none."""
    for viewer in viewers:
        await viewer.finished(within)
        assert viewer.saw_everything()
