"""The demo project installed in a folder: environment, SQLite database, processes and rows."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from tests.ports import free_port
from tests.processes import Process, WebProcess, daphne, manage, run

INHERITED = ("PATH", "HOME", "LANG", "VIRTUAL_ENV", "TMPDIR", "PYTHONPATH")


class Site:
    """One installation. As a context manager it stops its processes at the end.

    `environ` is added to the environment of each process. `database` is a migrated SQLite file
    to copy; without one the site migrates its own.
    """

    def __init__(self, folder: Path, database: Path | None = None, **environ: str) -> None:
        self.folder = folder
        self.database = folder / "db.sqlite3"
        self.media = folder / "media"
        self.env = {name: os.environ[name] for name in INHERITED if name in os.environ} | {
            "DJANGO_SETTINGS_MODULE": "project.settings",
            "DATABASE_URL": f"sqlite:///{self.database}",
            "MEDIA_ROOT": str(self.media),
            "STATIC_ROOT": str(folder / "static"),
            "SECRET_KEY": "a long one, for this test only, of more than fifty letters",
            "PYTHONUNBUFFERED": "1",
            **environ,
        }
        self._processes: list[Process] = []
        if database is None:
            self.manage("migrate", "--verbosity", "0")
        else:
            shutil.copy(database, self.database)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        with contextlib.ExitStack() as stack:
            for process in self._processes:
                stack.callback(process.stop)

    def manage(self, *args: str | Path) -> str:
        """Run a management command until it succeeds; return its stdout."""
        return run(manage(*args), env=self.env)

    def start(self, name: str, command: Sequence[str], **environ: str) -> Process:
        """Start a process; its output goes to `NAME.log` in the folder."""
        process = Process(
            name, command, env={**self.env, **environ}, log=self.folder / f"{name}.log"
        )
        self._processes.append(process)
        return process

    def serve(self, *, port: int | None = None, ready_path: str = "/healthz/live") -> WebProcess:
        """Start Daphne; no request is made."""
        port = port or free_port()
        web = WebProcess(
            "daphne",
            daphne(port),
            port=port,
            env=self.env,
            log=self.folder / "daphne.log",
            ready_path=ready_path,
        )
        self._processes.append(web)
        return web

    def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        """Rows read past Django and without any request."""
        return sqlite_rows(self.database, query, *values)

    def values(self, query: str) -> list[tuple[Any, ...]]:
        """`rows` without names."""
        return [tuple(row.values()) for row in self.rows(query)]

    def statuses(self) -> list[str]:
        """The status of each job."""
        return [status for (status,) in self.values("SELECT status FROM denoise_relay_job")]


def sqlite_rows(database: Path, query: str, *values: object) -> list[dict[str, Any]]:
    """Run one statement, with `%s` for each value, and commit it.

    Django stores a UUID in SQLite without hyphens; UUIDs among the values are changed to that.
    """
    plain = [v.replace("-", "") if isinstance(v, str) and len(v) == 36 else v for v in values]
    url = f"file:{database}?mode=rw"
    with contextlib.closing(sqlite3.connect(url, uri=True, timeout=10)) as connection:
        connection.row_factory = sqlite3.Row
        found = connection.execute(query.replace("%s", "?"), plain).fetchall()
        connection.commit()
        return [dict(row) for row in found]
