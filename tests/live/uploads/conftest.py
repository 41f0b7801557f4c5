"""Recordings that take several parts, and clients to upload them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.live.recordings import random_wav
from tests.live.uploads.tus_client import PART, TusClient

MakeClient = Callable[[str], TusClient]


@pytest.fixture
def tus_client() -> Iterator[MakeClient]:
    """Make clients of a site (`tus_client(url)`), which are closed when the test is over."""
    with contextlib.ExitStack() as stack:
        yield lambda url: stack.enter_context(TusClient(url))


@pytest.fixture
def medium(tmp_path: Path) -> Path:
    """A recording of four parts, the last one short."""
    return random_wav(tmp_path / "medium.wav", 3 * PART + 12_345)
