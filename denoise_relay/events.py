"""The one event schema: what backends report and what the journal records. Pure."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

MESSAGE_LIMIT = 500
"""Characters of a message that are kept: a page shows a sentence, not a log."""

# C0 and C1 controls (NUL is refused by PostgreSQL), line separators that split an SSE
# field, and lone surrogates, which neither UTF-8 nor a WebSocket can carry.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


class Stage(enum.StrEnum):
    """The `stage` that discriminates events, as the contract has it."""

    #: The job goes on; `pct` and `message` say how far.
    PROCESSING = "processing"
    #: The job ended well; `url` is the clean recording.
    DONE = "done"
    #: The job ended badly or was canceled; `message` says why.
    ERROR = "error"

    @property
    def terminal(self) -> bool:
        return self is not Stage.PROCESSING


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """Something a runner or a person says about a job, before it has a number."""

    stage: Stage = Stage.PROCESSING
    pct: float = 0.0
    message: str = ""
    #: For `done` only: a URL to pass through; empty when the result is stored with us.
    url: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """One committed fact: `seq` counts 1, 2, 3… within its job, without holes."""

    job: UUID
    seq: int
    stage: Stage
    pct: float
    message: str
    at: datetime
    url: str = ""


def clean_text(text: str, limit: int = MESSAGE_LIMIT) -> str:
    """Make untrusted text safe to store and to send: one line, printable, at most `limit` long."""
    cleaned = _UNPRINTABLE.sub(" ", text[: limit * 4]).strip()
    return cleaned if len(cleaned) <= limit else cleaned[: limit - 1] + "…"


def clean_pct(value: float) -> float:
    """Clamp to 0-100 with one decimal; what is not a number counts as 0."""
    # Compared before it is converted: an int from JSON may be too large for a float.
    if value >= 100:
        return 100.0
    return round(float(value), 1) if value > 0 else 0.0
