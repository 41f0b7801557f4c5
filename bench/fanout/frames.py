"""What all ways send: one progress event of a job, about 190 bytes of JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

#: The session and the visitor of all viewers.
VISITOR = "bench-visitor"
MESSAGE = "Running noise reduction"
_FIRST = 0xBE << 120


def job_id(number: int) -> UUID:
    """The id of the job with this number, from 0."""
    return UUID(int=_FIRST + number)


def body(job: UUID, number: int) -> dict[str, Any]:
    """The frame's content as a dict, for ways that encode it themselves."""
    return {
        "job": str(job),
        "seq": number,
        "stage": "processing",
        "pct": 1,
        "message": MESSAGE,
        "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }
