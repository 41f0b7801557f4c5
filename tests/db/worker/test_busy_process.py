"""A busy process: leases are renewed and events committed, whatever the site's own code does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest
from pytest_django import Settings

from denoise_relay.backends.base import Result, Run
from denoise_relay.live.feed import Feed
from denoise_relay.runtime import database
from tests.db.live.sockets import job_path, opened
from tests.db.scripted_backends import Scripted, write_result
from tests.db.worker.working import QUICK, accepted, ended, new_job, working
from tests.waiting import eventually

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("media", "the_feed"),
]

#: More sockets than there are threads of any kind.
MANY = 12


class _SlowPolicy:
    """An access policy that hangs until the end of the test, but for the job in `open_for`."""

    def __init__(self) -> None:
        self.open_for: object = None
        self.asked = 0
        self.may_answer = threading.Event()

    def __call__(self, viewer: Any, job: Any, action: str) -> bool:
        if job.pk == self.open_for:
            return True
        self.asked += 1
        return self.may_answer.wait(30)


#: Named in `ACCESS_POLICY`.
policy: Any = None


@pytest.fixture
def slow_policy(settings: Settings) -> Iterator[_SlowPolicy]:
    global policy
    policy = _SlowPolicy()
    settings.DENOISE_RELAY = {
        "WORKER": "external",
        "ACCESS_POLICY": f"{__name__}.policy",
        "POSITION_CHECK_SECONDS": 0.1,
    }
    yield policy
    policy.may_answer.set()


async def test_a_slow_policy_delays_no_lease_no_event_and_no_viewer(
    slow_policy: _SlowPolicy, the_feed: Feed, caplog: pytest.LogCaptureFixture
) -> None:
    watched, asked_for = await new_job(), await new_job(finished_at=None)
    slow_policy.open_for = watched.pk
    gate = asyncio.Event()

    async def run(run: Run) -> Result:
        await run.accepted("u")
        if run.assignment.job == watched.pk:
            await gate.wait()
        return write_result(run)

    backend = Scripted(replace(QUICK, LEASE_SECONDS=1.0), run)
    async with AsyncExitStack() as stack:
        viewer = await stack.enter_async_context(opened(job_path(watched)))
        await viewer.frame()
        for _ in range(MANY):
            await stack.enter_async_context(opened(job_path(asked_for)))
        await eventually(lambda: slow_policy.asked)
        try:
            async with working(backend) as supervisor:
                await asyncio.wait_for(accepted(watched), 5)
                # Longer than a lease: without a renewal the runner is stopped.
                for _ in range(3):
                    renewed = supervisor._watchdog.renewed_at
                    await eventually(lambda: supervisor._watchdog.renewed_at > renewed, within=2)  # noqa: B023
                gate.set()
                (found,) = await ended(watched, within=5)
                while (frame := await viewer.frame())["stage"] == "processing":
                    pass
        finally:
            slow_policy.may_answer.set()

    assert (found.status, found.epoch) == ("done", 1)
    assert frame["stage"] == "done"
    actions = [getattr(record, "relay_action", "") for record in caplog.records]
    assert "leases_abandoned" not in actions


async def test_each_kind_of_thread_waits_for_itself_only() -> None:
    gate, kinds = threading.Event(), database._ALL
    for busy in kinds:
        gate.clear()
        calls = [asyncio.ensure_future(busy.call(gate.wait, 30)) for _ in range(MANY)]
        try:
            for other in kinds:
                if other is not busy:
                    assert await asyncio.wait_for(other.call(int, "7"), 5) == 7
        finally:
            gate.set()
            await asyncio.gather(*calls)
