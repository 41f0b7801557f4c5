"""Streams of the tests beside."""

from __future__ import annotations

from denoise_relay.backends.upstream import UpstreamBackend
from denoise_relay.testing import answers
from tests.contract.runs import RecordedRun

HALF = answers.processing(40, "Half way")


async def run_to_result(backend: UpstreamBackend, run: RecordedRun) -> None:
    result = await backend.run(run)
    assert result.file is not None
    assert result.file.stat().st_size
