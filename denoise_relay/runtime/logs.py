"""One way to log: an event name for machines, a sentence for people, ids always present."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any

logger = logging.getLogger("denoise_relay")

PREFIX = "relay_"
TRACE_LIMIT = 16 * 1024
"""Characters of a traceback that are kept: the ends, where cause and line are."""


def fields(action: str, **context: Any) -> dict[str, Any]:
    """Build `extra=` for a log call, as in `extra=log.fields("lease_lost", job=pk)`.

    Keys are prefixed in the record (`relay_action`, `relay_job`…), so that none can collide
    with `LogRecord`'s own. Never pass a key, a signed URL or an upstream body.
    """
    return {
        f"{PREFIX}action": action,
        **{f"{PREFIX}{name}": value for name, value in context.items()},
    }


class JsonFormatter(logging.Formatter):
    """One JSON object a line, for log collectors: `at`, `level`, `logger`, `message`, `process`
    and what `fields` was given (`action`, `job`, `seq`…), `trace` where there is one.

    For a handler of any logger; records of other packages have no `action`.
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
                # Never over one of ours: a reader trusts `level` and `at`.
                body.setdefault(name.removeprefix(PREFIX), value)
        if record.exc_info:
            body["trace"] = _shortened(self.formatException(record.exc_info))
        if record.stack_info:
            body["stack"] = _shortened(self.formatStack(record.stack_info))
        # ASCII: no lone surrogate can break the line, whatever a file was called.
        return json.dumps(body, default=str)


def _shortened(text: str) -> str:
    if len(text) <= TRACE_LIMIT:
        return text
    return f"{text[: TRACE_LIMIT // 2]}\n…\n{text[-TRACE_LIMIT // 2 :]}"
