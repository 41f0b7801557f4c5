"""What a viewer who came a while ago may still see: asked again, of the database and the policy.

All functions here block.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

from django.db import Error as DatabaseFailure

from denoise_relay import access
from denoise_relay.access import Viewer
from denoise_relay.live.viewers import refreshed
from denoise_relay.models import Job
from denoise_relay.runtime import logs

#: Jobs in one query.
JOBS_AT_A_TIME = 500


def visible_jobs(viewer: Viewer, ids: Collection[UUID]) -> dict[UUID, Job] | None:
    """Those of the jobs that exist and that the viewer may see now, by id.

    None when the viewer's session has ended. Raises Django's database errors, and whatever the
    site's policy raises.
    """
    now = refreshed(viewer)
    if now is None:
        return None
    return {job_id: job for job_id, job in _jobs(ids).items() if access.allowed(now, job)}


def still_visible(
    questions: Sequence[tuple[Viewer, Collection[UUID]]],
) -> list[Collection[UUID] | None]:
    """`visible_jobs` for several viewers, with one query for the jobs of all of them.

    A job that exists no more stays: its viewers are sent a last frame (`gone`). Where a policy
    or a session store fails, the viewer keeps what they have until the next check: an outage
    must not close all sockets. Raises Django's database errors.
    """
    jobs = _jobs({job_id for _, ids in questions for job_id in ids})
    return [_still_visible(viewer, ids, jobs) for viewer, ids in questions]


def _still_visible(
    viewer: Viewer, ids: Collection[UUID], jobs: dict[UUID, Job]
) -> Collection[UUID] | None:
    try:
        now = refreshed(viewer)
        if now is None:
            return None
        # A job that is gone stays: the feed's position check sends its viewers a last frame.
        return {job for job in ids if job not in jobs or access.allowed(now, jobs[job])}
    except DatabaseFailure:
        raise
    except Exception as error:  # noqa: BLE001 - a site's policy and session store raise what they like
        logs.logger.exception(
            "The rights of a viewer could not be checked",
            extra=logs.fields("rights_check_failed", error=repr(error)),
        )
        return ids


def _jobs(ids: Collection[UUID]) -> dict[UUID, Job]:
    """The rows, with what `access.get_job` reads for the policy."""
    wanted, found = list(ids), dict[UUID, Job]()
    query = access.policy_jobs()
    for start in range(0, len(wanted), JOBS_AT_A_TIME):
        found |= query.in_bulk(wanted[start : start + JOBS_AT_A_TIME])
    return found
