"""One way to log: an event name for machines, a sentence for people, ids always present."""

from __future__ import annotations

import logging
from typing import Any

logger = logging.getLogger("denoise_relay")


def fields(action: str, **context: Any) -> dict[str, Any]:
    """Build `extra=` for a log call, as in `extra=log.fields("lease_lost", job=pk)`.

    Keys are prefixed in the record (`relay_action`, `relay_job`…), so that none can collide
    with `LogRecord`'s own. Never pass a key, a signed URL or an upstream body.
    """
    return {"relay_action": action, **{f"relay_{name}": value for name, value in context.items()}}
