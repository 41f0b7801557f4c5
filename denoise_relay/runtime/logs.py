"""Structured logs: each record has an event name for machines, a sentence for people, and ids."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any

logger = logging.getLogger("denoise_relay")

#: Before each of our names in a log record.
PREFIX = "relay_"
#: Characters of a traceback that are kept: its start and its end, with the cause and the line.
TRACE_LIMIT = 16 * 1024


def fields(action: str, **context: Any) -> dict[str, Any]:
    """Build `extra=` for a log call, as in `extra=logs.fields("lease_lost", job=pk)`.

    Keys get a prefix in the record (`relay_action`, `relay_job`…), so that none collides with
    `LogRecord`'s own. Never pass a key, a signed URL or an upstream body.
    """
    return {
        f"{PREFIX}action": action,
        **{f"{PREFIX}{name}": value for name, value in context.items()},
    }


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON, for log collectors.

    Keys: `at`, `level`, `logger`, `message`, `process`, what `fields` was given (`action`, `job`,
    `seq`…), and `trace` where there is one. Works for any logger; records of other packages have
    no `action`.
    """

    def format(self, record: logging.LogRecord) -> str:
        body: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "process": record.process,
        }
        for name, value in record.__dict__.items():
            if name.startswith(PREFIX):
                # Never replaces a key from above: readers rely on `level` and `at`.
                body.setdefault(name.removeprefix(PREFIX), value)
        if record.exc_info:
            body["trace"] = _shortened(self.formatException(record.exc_info))
        if record.stack_info:
            body["stack"] = _shortened(self.formatStack(record.stack_info))
        # ASCII, because a file name may hold a lone surrogate, which UTF-8 cannot encode.
        return json.dumps(body, default=str)


def _shortened(text: str) -> str:
    if len(text) <= TRACE_LIMIT:
        return text
    return f"{text[: TRACE_LIMIT // 2]}\n…\n{text[-TRACE_LIMIT // 2 :]}"
