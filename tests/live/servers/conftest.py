"""Sites with the local engine."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.processes import WebProcess
from tests.sites import Site

MakeSite = Callable[..., Site]


@pytest.fixture
def make_site(migrated_database: Path, tmp_path: Path) -> Iterator[MakeSite]:
    """Make a site (`make_site(**environ)`), whose processes are stopped at the end."""
    with contextlib.ExitStack() as stack:

        def make(**environ: str) -> Site:
            site = Site(
                tmp_path,
                migrated_database,
                DENOISE_RELAY_BACKEND="local",
                DENOISE_RELAY_LEASE_SECONDS="3",
                DENOISE_RELAY_MAX_ENGINES="1",
                **environ,
            )
            return stack.enter_context(site)

        yield make


def browser_of(web: WebProcess) -> httpx.Client:
    """A browser, when the server answers."""
    web.wait_until_ready()
    return httpx.Client(base_url=web.url, timeout=30)
