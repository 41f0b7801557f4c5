"""The life of a job as one table. Pure."""

from __future__ import annotations

import enum

from denoise_relay.exceptions import IllegalTransition


class Status(enum.StrEnum):
    """Where a job stands. Viewers see stages (`events.Stage`); pages and staff see these."""

    #: Stored and waiting for a runner.
    QUEUED = "queued"
    #: A runner has committed its intent to hand the file to the backend.
    SUBMITTING = "submitting"
    #: The backend has accepted the file.
    PROCESSING = "processing"
    #: Ended well: the clean recording can be played.
    DONE = "done"
    #: Ended badly: `Job.error` says why, in words for a person.
    ERROR = "error"
    #: Ended by its owner or by staff.
    CANCELED = "canceled"


TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.QUEUED: frozenset(
        {Status.SUBMITTING, Status.PROCESSING, Status.DONE, Status.ERROR, Status.CANCELED}
    ),
    # Back to submitting: a lost submission is posted again, as a new attempt.
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


def advance(current: Status, target: Status) -> Status:
    """Return `target` if a job may go there from `current`; raise `IllegalTransition` if not."""
    if target not in TRANSITIONS[current]:
        allowed = ", ".join(sorted(TRANSITIONS[current])) or "nothing: it has ended"
        raise IllegalTransition(f"{current} may not become {target}; allowed: {allowed}")
    return target
