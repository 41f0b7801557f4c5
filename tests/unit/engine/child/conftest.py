"""Fixtures of the tests beside."""

from __future__ import annotations

import pytest

from tests.unit.engine import material
from tests.unit.engine.child.probing import tone
from tests.unit.engine.material import FORMATS


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Three seconds in each format."""
    folder = tmp_path_factory.mktemp("formats")
    return {
        format.name: material.encode(folder / format.name, format, tone(format)).read_bytes()
        for format in FORMATS
    }
