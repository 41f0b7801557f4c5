"""What the backends' tests share."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from denoise_relay.backends.upstream import UpstreamBackend
from denoise_relay.conf import RelaySettings
from denoise_relay.testing import ScriptedUpstream
from denoise_relay.testing.state import tone_wav
from tests.contract.runs import NewBackend, NewRun, RecordedRun, make_run


@pytest.fixture
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream() as scripted:
        yield scripted


@pytest.fixture
def new_run(tmp_path: Path) -> NewRun:
    """Make runs of a short recording, each with a workspace of its own."""
    source = tmp_path / "recording.wav"
    source.write_bytes(tone_wav())
    count = 0

    def make(**facts: Any) -> RecordedRun:
        nonlocal count
        count += 1
        workspace = tmp_path / f"workspace-{count}"
        workspace.mkdir()
        return make_run(facts.pop("source", source), workspace, **facts)

    return make


@pytest.fixture
async def new_backend(upstream: ScriptedUpstream) -> AsyncIterator[NewBackend]:
    """Make upstream backends whose timeouts are tenths of a second."""
    async with contextlib.AsyncExitStack() as stack:

        def make(**settings: Any) -> UpstreamBackend:
            given: dict[str, Any] = {
                "UPSTREAM_URL": upstream.url,
                "API_KEY": upstream.key,
                "UPSTREAM_SILENCE_SECONDS": 0.3,
                "SUBMISSION_GRACE_SECONDS": 0.4,
                "ALLOWED_RESULT_HOSTS": (upstream.netloc,),
            }
            backend = UpstreamBackend(RelaySettings(**given | settings))
            stack.push_async_callback(backend.aclose)
            return backend

        yield make


@pytest.fixture
def backend(new_backend: NewBackend) -> UpstreamBackend:
    return new_backend()
