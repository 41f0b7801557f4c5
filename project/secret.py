"""The development SECRET_KEY: made once and kept, so that people stay logged in after a restart."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from pathlib import Path


def kept_secret(path: Path) -> str:
    """Return the secret in `path`, made with mode 0600 by the process that comes first."""
    with contextlib.suppress(FileNotFoundError):
        return path.read_text().strip()
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=".secret-")
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(50))
    # A link appears whole or not at all: two processes that start together end with one key.
    with contextlib.suppress(FileExistsError):
        os.link(draft, path)
    os.unlink(draft)
    return path.read_text().strip()
