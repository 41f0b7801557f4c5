"""The fixture `scripted_upstream`, for synchronous and asynchronous tests alike."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from denoise_relay.testing.server import ScriptedUpstream


@pytest.fixture
def scripted_upstream() -> Iterator[ScriptedUpstream]:
    """A scripted upstream on a free port, in a thread of its own."""
    with ScriptedUpstream() as upstream:
        yield upstream
