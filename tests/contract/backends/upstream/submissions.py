"""Submissions of the tests beside."""

from __future__ import annotations

from denoise_relay.backends.upstream import UpstreamBackend
from denoise_relay.testing import Answer, ScriptedUpstream, answers
from tests.contract.runs import RecordedRun

LOST_BODY = answers.read_body()


async def run_after(
    fault: Answer, upstream: ScriptedUpstream, backend: UpstreamBackend, run: RecordedRun
) -> None:
    """Run a job whose first submission meets a fault."""
    upstream.on_submit(fault)
    await backend.run(run)
