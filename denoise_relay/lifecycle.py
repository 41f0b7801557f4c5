"""The statuses of a job, and which may follow which. Pure."""

from __future__ import annotations

import enum
from uuid import UUID

from denoise_relay.exceptions import IllegalTransition


class Status(enum.StrEnum):
    """The status of a job, for pages and staff. Viewers see stages (`events.Stage`)."""

    #: Stored and waiting for a runner.
    QUEUED = "queued"
    #: A runner has committed its intent to hand the file to the backend.
    SUBMITTING = "submitting"
    #: The backend has accepted the file.
    PROCESSING = "processing"
    #: Ended well: the clean recording can be played.
    DONE = "done"
    #: Ended badly: `Job.message` says why to the viewer, `Job.error_detail` to staff.
    ERROR = "error"
    #: Ended by its owner or by staff.
    CANCELED = "canceled"


TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.QUEUED: frozenset(
        {Status.SUBMITTING, Status.PROCESSING, Status.DONE, Status.ERROR, Status.CANCELED}
    ),
    # From submitting to submitting: a lost submission is posted again, as a new attempt.
    Status.SUBMITTING: frozenset(
        {Status.SUBMITTING, Status.PROCESSING, Status.DONE, Status.ERROR, Status.CANCELED}
    ),
    Status.PROCESSING: frozenset({Status.PROCESSING, Status.DONE, Status.ERROR, Status.CANCELED}),
    Status.DONE: frozenset(),
    Status.ERROR: frozenset(),
    Status.CANCELED: frozenset(),
}

TERMINAL: frozenset[Status] = frozenset(s for s, onward in TRANSITIONS.items() if not onward)
ACTIVE: frozenset[Status] = frozenset(TRANSITIONS) - TERMINAL


def is_fetchable(job: UUID, upstream_id: str) -> bool:
    """Whether the backend can be asked again for the work of a job that ended without a result.

    A job in parts has its own id as `upstream_id`, and the local engine keeps nothing.
    """
    return upstream_id not in ("", str(job))


def advance(current: Status, target: Status) -> Status:
    """Return `target` if a job may go there from `current`; raise `IllegalTransition` if not."""
    if target not in TRANSITIONS[current]:
        allowed = ", ".join(sorted(TRANSITIONS[current])) or "nothing: it has ended"
        raise IllegalTransition(f"{current} may not become {target}; allowed: {allowed}")
    return target
