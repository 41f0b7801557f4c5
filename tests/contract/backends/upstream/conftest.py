"""Fixtures of the tests beside."""

from __future__ import annotations

from pathlib import Path

import pytest

from denoise_relay.backends.upstream import previews
from denoise_relay.testing import ScriptedUpstream
from tests.contract.backends.upstream.relayed import SAYS, streams
from tests.contract.runs import empty_file


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """Large enough that the socket's buffers cannot hold it, and that the key is probed."""
    return empty_file(tmp_path / "large.wav", 24)


@pytest.fixture
def relay(upstream: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch) -> ScriptedUpstream:
    """A relay with a job that goes on until `forget_scripts`."""
    monkeypatch.setattr(previews, "PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(previews, "LONGEST_PAUSE_SECONDS", 0.02)
    upstream.extensions = ("preview",)
    upstream.on_progress(*streams(SAYS))
    return upstream
