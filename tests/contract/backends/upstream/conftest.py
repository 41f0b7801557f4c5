"""Fixtures of the tests beside."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """Large enough that the socket's buffers cannot hold it, and that the key is probed."""
    source = tmp_path / "large.wav"
    with source.open("wb") as file:
        file.truncate(24 * 1024 * 1024)
    return source
