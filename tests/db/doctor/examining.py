"""Runs one diagnosis, or several as the doctor does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from denoise_relay.doctor.run import Finding, Level

committed = pytest.mark.django_db(transaction=True)
Look = Callable[[], Awaitable[Sequence[Finding]]]


def found(look: Look) -> list[tuple[Level, str]]:
    """Level and text of everything that a diagnosis says."""
    return [(finding.level, finding.text) for finding in asyncio.run(_gather(look))]


async def _gather(look: Look) -> Sequence[Finding]:
    return await look()


def worst(look: Look) -> Finding:
    """The finding that is not OK; there must be exactly one, and it must say what to do."""
    (bad,) = [finding for finding in asyncio.run(_gather(look)) if finding.level is not Level.OK]
    assert bad.remedy
    return bad
