"""A person's cancel reaches an upstream that understands it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from denoise_relay.backends.upstream import UpstreamBackend
from denoise_relay.jobs import actions
from denoise_relay.testing import ScriptedUpstream, answers
from tests.db.worker.working import QUICK, accepted, ended, new_job, working
from tests.waiting import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("media")]


@pytest.mark.parametrize("understood", [True, False])
async def test_a_cancel_is_passed_on(understood: bool) -> None:
    async with ScriptedUpstream() as upstream:
        upstream.extensions = ("cancel",) if understood else ()
        # Scripted answers say themselves what a relay says in each.
        says = {"Denoise-Relay-Extensions": "cancel"} if understood else None
        unfinished = answers.stream(answers.processing(10), headers=says) + answers.silence()
        upstream.on_progress(unfinished, unfinished)
        settings = replace(QUICK, UPSTREAM_URL=upstream.url, API_KEY=upstream.key)
        job, other = await new_job(), await new_job()
        async with working(UpstreamBackend(settings)) as supervisor:  # type: ignore[arg-type]
            await accepted(job)
            await accepted(other)
            assert await actions.acancel(job)
            await eventually(lambda: job.pk not in supervisor.running)

            def stopped() -> list[str]:
                return [record.file_name[:36] for record in upstream.records if record.error]

            if understood:
                await eventually(stopped)
            assert stopped() == ([str(job.pk)] if understood else [])
            await actions.acancel(other)
            await ended(job, other)
