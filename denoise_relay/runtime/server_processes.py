"""Whether this process is one of several that serve the site, as far as can be told from inside."""

from __future__ import annotations

import os

#: Where servers take the number of their processes from: gunicorn, uvicorn and hosting platforms,
#: and granian.
VARIABLES = ("WEB_CONCURRENCY", "GRANIAN_WORKERS")


def several() -> bool:
    """Whether the environment asks the server for more than one process."""
    counts = (os.environ.get(name, "") for name in VARIABLES)
    return any(count.isdecimal() and int(count) > 1 for count in counts)
