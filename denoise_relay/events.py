"""The schema of events: what backends report and what the journal holds. Pure."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

#: Characters of a message that are kept: a page shows a sentence, not a log.
MESSAGE_LIMIT = 500

# C0 and C1 controls (PostgreSQL refuses NUL), line separators, which would split an SSE field,
# and lone surrogates, which UTF-8 and so a WebSocket cannot carry.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


class Stage(enum.StrEnum):
    """The kind of an event, as in the upstream contract."""

    #: The job runs; `pct` and `message` are its progress.
    PROCESSING = "processing"
    #: The job ended well; `url` is that of the clean recording.
    DONE = "done"
    #: The job ended badly or was canceled; `message` says why.
    ERROR = "error"

    @property
    def terminal(self) -> bool:
        return self is not Stage.PROCESSING


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """What a runner or a person reports about a job, before it is an event."""

    stage: Stage = Stage.PROCESSING
    pct: float = 0.0
    message: str = ""
    #: For `done` only: a URL to pass through; empty when the result is stored here.
    url: str = ""
    #: For `done` only: what people should know about the result.
    warning: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """A committed fact. `seq` counts 1, 2, 3… within its job, without gaps."""

    job: UUID
    seq: int
    stage: Stage
    pct: float
    message: str
    at: datetime
    url: str = ""
    warning: str = ""


def clean_text(text: str, limit: int = MESSAGE_LIMIT) -> str:
    """Make untrusted text safe to store and to send: one line, printable, at most `limit` long."""
    if not text.isprintable():  # much cheaper than a search, and most texts are
        text = _UNPRINTABLE.sub(" ", text[: limit * 4])
    cleaned = text[: limit * 4].strip()
    return cleaned if len(cleaned) <= limit else cleaned[: limit - 1] + "…"


def clean_pct(value: float) -> float:
    """Limit to 0-100 and round to one decimal; NaN becomes 0."""
    # Compared before the conversion, because an int from JSON may be too large for a float.
    if value >= 100:
        return 100.0
    return round(float(value), 1) if value > 0 else 0.0
