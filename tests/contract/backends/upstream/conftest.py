"""Fixtures of the tests beside."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.runs import empty_file


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """Large enough that the socket's buffers cannot hold it, and that the key is probed."""
    return empty_file(tmp_path / "large.wav", 24)
