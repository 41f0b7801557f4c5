"""Fixtures of the tests beside."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.unit.engine import material


@pytest.fixture
def long_file(tmp_path: Path) -> Path:
    """100 s of speech: some ten seconds of work."""
    return material.make(tmp_path, "s16.wav", np.tile(material.speech(44_100), 25))


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "out"
    folder.mkdir()
    yield folder / "out.flac"
    assert [path.name for path in folder.iterdir() if path.name != "out.flac"] == []
