"""Makes a request that is sent twice one job: its id is derived from what was asked for."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from uuid import UUID

from django.db import IntegrityError
from django.http import Http404
from django.utils.crypto import salted_hmac

from denoise_relay import access
from denoise_relay.access import Viewer
from denoise_relay.models import Job


def job_id(salt: str, *made_from: str) -> UUID:
    """The same id for the same words, which nobody can guess. `salt` names their kind."""
    digest = salted_hmac(salt, json.dumps(made_from), algorithm="sha256").digest()
    return UUID(bytes=digest[:16], version=4)


async def once(viewer: Viewer, job_id: UUID | None, make: Callable[[], Awaitable[Job]]) -> Job:
    """The job with this id if an earlier request has made it, else what `make` makes now.

    Raises what `make` raises, but for the `IntegrityError` of two requests at a time.
    """
    if job_id is None:
        return await make()
    if (made := await _find(viewer, job_id)) is not None:
        return made
    try:
        return await make()
    except IntegrityError:
        # Another request has made it since.
        if (made := await _find(viewer, job_id)) is not None:
            return made
        raise


async def _find(viewer: Viewer, job_id: UUID) -> Job | None:
    try:
        return await access.aget_job(viewer, job_id)
    except Http404:
        return None
