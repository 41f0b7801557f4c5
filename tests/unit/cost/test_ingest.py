"""What an event of the upstream may cost: no timer and no task, however many come."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from denoise_relay.backends.base import Assignment
from denoise_relay.backends.upstream.client import UpstreamClient
from denoise_relay.backends.upstream.context import RetryPolicy, RunContext
from denoise_relay.backends.upstream.follower import Follower
from denoise_relay.backends.upstream.http import HttpClient
from denoise_relay.backends.upstream.stream_connection import StreamConnection
from denoise_relay.conf import RelaySettings
from denoise_relay.testing import ScriptedUpstream, answers


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    """In a thread of its own: the loop of the test does nothing but read."""
    with ScriptedUpstream() as scripted:
        yield scripted


class Costs:
    """Counts what the running loop is asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.counts: Counter[str] = Counter()
        loop = asyncio.get_running_loop()
        # `call_later` is a `call_at`.
        self._count(monkeypatch, loop, "call_at", "timers")
        self._count(monkeypatch, loop, "create_task", "tasks")
        self._count(monkeypatch, loop, "run_in_executor", "thread hops")
        self._count(monkeypatch, StreamConnection, "buffer_updated", "reads")

    def _count(self, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, what: str) -> None:
        real = getattr(owner, name)

        def counted(*args: Any, **kwargs: Any) -> Any:
            self.counts[what] += 1
            return real(*args, **kwargs)

        monkeypatch.setattr(owner, name, counted)


async def follow(upstream: ScriptedUpstream, events: int) -> int:
    """Follow a job whose upstream writes each event alone; return how many were reported."""
    pieces = [answers.chunk(answers.processing(number % 100)) for number in range(events)]
    script = answers.chunked_stream(finish=False)
    for piece in pieces:
        script += answers.drip(piece, seconds=0.001, piece_bytes=len(piece))
    upstream.on_progress(
        script + answers.raw(answers.chunk(answers.done("http://x.example/")) + b"0\r\n\r\n")
    )
    http = HttpClient()
    settings = RelaySettings(UPSTREAM_URL=upstream.url, API_KEY=upstream.key)
    reports: list[float] = []
    assignment = Assignment(
        job=uuid.uuid4(),
        source=Path(),
        extension="wav",
        size_bytes=0,
        attempt=1,
        submitted_at=datetime.now(UTC),
        upstream_id="x",
        workspace=Path(),
    )
    run: Any = SimpleNamespace(
        assignment=assignment, report=lambda pct, message: reports.append(pct)
    )
    context = RunContext(
        run=run,
        client=UpstreamClient(settings, http),
        policy=RetryPolicy.of(settings),
        since=datetime.now(UTC),
    )
    try:
        await Follower(context, "x", Counter()).follow()
    finally:
        await http.aclose()
    return len(reports)


async def test_events_cost_no_timer_no_task_and_no_thread(
    upstream: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    costs = Costs(monkeypatch)
    found = []
    for events in (1, 300):
        costs.counts.clear()
        assert await follow(upstream, events) == events
        found.append(dict(costs.counts))
    few, many = found
    assert many.pop("reads") > 100 > few.pop("reads")
    assert many == few
    assert few["timers"] < 10
    assert few["tasks"] < 10
