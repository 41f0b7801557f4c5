"""A cluster under test: web processes and workers on real servers, jobs, and their rows.

    async def test_something(cluster):
        web, worker = cluster.web(), cluster.worker()
        job = await cluster.upload(web)
        async with cluster.watching(job) as viewer: ...

`finish` is what each scenario ends with: every job terminal, one upstream job for each,
a journal without holes, viewers who all saw the same, and no traceback anywhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import os
import re
import shutil
import time
import wave
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx

from tests.live.processes import START_SECONDS, Process
from tests.live.servers import Postgres, Valkey
from tests.live.upstream import LiveUpstream
from tests.live.viewers import Ledger, Viewer
from tests.ports import free_port
from tests.waiting import eventually, wait_for

KEY = "dr_live-tests-only"
DATABASE = "live"
LEASE_SECONDS = 3.0
POSITION_CHECK_SECONDS = 1.0
WORKING = "jobs at a time"
TERMINAL = ("done", "error", "canceled")
PACE = {
    "LEASE_SECONDS": f"{LEASE_SECONDS:g}",
    "UPSTREAM_SILENCE_SECONDS": "3",
    "SUBMISSION_GRACE_SECONDS": "2",
    "POSITION_CHECK_SECONDS": f"{POSITION_CHECK_SECONDS:g}",
}


class Web(Process):
    """A web process and its port."""

    def __init__(self, name: str, port: int, env: dict[str, str], log: Path) -> None:
        self.port = port
        args = ["-m", "daphne", "-b", "127.0.0.1", "-p", str(port), "project.asgi:application"]
        super().__init__(name, args, env, log)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def socket_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws/denoise/"

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz/live", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    def ready(self) -> None:
        wait_for(lambda: self.answers() or not self.running, within=START_SECONDS)
        assert self.running, self.text


class Cluster:
    """Everything one scenario needs; `close` ends what it started."""

    def __init__(
        self, folder: Path, upstream: LiveUpstream, *, database_url: str, redis_url: str = ""
    ) -> None:
        self.upstream = upstream
        self.ledger = Ledger()
        self.webs: list[Web] = []
        self.workers: list[Process] = []
        self.jobs: list[str] = []
        #: How many submissions a job may have cost; 1 unless the scenario says otherwise.
        self.submits_allowed: dict[str, int] = {}
        self._folder = folder
        self._started = 0
        self.environ = {
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "MEDIA_ROOT": str(folder / "media"),
            "SECRET_KEY": "live tests only",
            "DEBUG": "0",
            "DENOISE_RELAY_BACKEND": "upstream",
            "DENOISE_RELAY_UPSTREAM_URL": upstream.url,
            "DENOISE_RELAY_API_KEY": upstream.key,
            "DENOISE_RELAY_ALLOWED_RESULT_HOSTS": upstream.netloc,
            "DENOISE_RELAY_WORKER": "external",
            **{f"DENOISE_RELAY_{name}": value for name, value in PACE.items()},
        }

    # Processes

    def web(self, port: int | None = None, *, wait: bool = True, **environ: str) -> Web:
        """Start a web process; `environ` overrides, with `DENOISE_RELAY_` left out."""
        name, log = self._place("web")
        web = Web(name, port or free_port(), self._env(environ), log)
        self.webs.append(web)
        if wait:
            web.ready()
        return web

    def worker(self, *, wait: bool = True, **environ: str) -> Process:
        name, log = self._place("worker")
        worker = Process(name, ["manage.py", "denoise_worker"], self._env(environ), log)
        self.workers.append(worker)
        if wait:
            worker.said(WORKING)
        return worker

    def manage(self, *args: str) -> str:
        """Run a management command to its end; return what it printed."""
        name, log = self._place("manage")
        process = Process(name, ["manage.py", *args], self._env({}), log)
        assert process.ended(60) == 0, process.text
        return process.text

    def processes(self) -> list[Process]:
        return [*self.webs, *self.workers]

    def close(self) -> None:
        """End every process; those that still run must end well."""
        failures = []
        for process in self.processes():
            try:
                process.end()
            except AssertionError as error:
                failures.append(str(error))
        assert not failures, failures

    def logs(self) -> str:
        return "\n".join(f"--- {p.name} ({p.pid})\n{p.text}" for p in self.processes())

    def _place(self, kind: str) -> tuple[str, Path]:
        self._started += 1
        name = f"{kind}{self._started}"
        return name, self._folder / f"{name}.log"

    def _env(self, overrides: dict[str, str]) -> dict[str, str]:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name != "DJANGO_SETTINGS_MODULE" and not name.startswith("DENOISE_RELAY_")
        }
        named = {
            name if name.isupper() and name in _PLAIN else f"DENOISE_RELAY_{name}": value
            for name, value in overrides.items()
        }
        return inherited | self.environ | named

    # Jobs

    async def upload(self, web: Web, recording: bytes | None = None) -> str:
        """Bring a file through the API; return the job's id."""
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            answer = await client.post(
                f"{web.url}/api/v1/denoise",
                headers={"x-api-key": KEY},
                files={"audio": ("recording.wav", recording or SHORT, "audio/wav")},
            )
        assert answer.status_code == 200, f"{answer.status_code} {answer.text}\n{self.logs()}"
        job: str = answer.json()["denoiseId"]
        self.jobs.append(job)
        return job

    async def uploads(self, web: Web, count: int) -> list[str]:
        """Several at a time."""
        return list(await asyncio.gather(*(self.upload(web) for _ in range(count))))

    @contextlib.asynccontextmanager
    async def watching(
        self,
        *jobs: str,
        viewers: int = 1,
        kind: str = "socket",
        webs: list[Web] | None = None,
        headers: dict[str, str] | None = None,
    ) -> AsyncIterator[list[Viewer]]:
        """Viewers of each job, who come back until they have seen its end. They choose among
        `webs`, which may change meanwhile."""
        watchers = [
            Viewer(
                job,
                ledger=self.ledger,
                urls=lambda: [w.url for w in (self.webs if webs is None else webs)],
                headers=headers or {"x-api-key": KEY},
                kind=kind,
            )
            for job in jobs
            for _ in range(viewers)
        ]
        for watcher in watchers:
            watcher.start()
        try:
            yield watchers
        finally:
            await asyncio.gather(*(watcher.stop() for watcher in watchers))

    # Rows, past everything of ours

    def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        raise NotImplementedError

    def job(self, job: str) -> dict[str, Any]:
        (row,) = self.rows("SELECT * FROM denoise_relay_job WHERE id = %s", job)
        return row

    def journal(self, job: str) -> list[dict[str, Any]]:
        return self.rows("SELECT * FROM denoise_relay_event WHERE job_id = %s ORDER BY seq", job)

    def owner(self, job: str) -> Process | None:
        """The process that holds the job's lease."""
        owner = str(self.job(job)["lease_owner"])
        return next((p for p in self.processes() if f"-{p.pid}-" in owner), None)

    async def owned(self, job: str, *, by: Process | None = None, within: float = 20.0) -> Process:
        """Wait until a process (this one, if given) holds the job's lease."""

        def held() -> Process | None:
            owner = self.owner(job)
            return owner if owner and (by is None or owner is by) else None

        found = await eventually(held, within=within)
        assert found is not None
        return found

    async def reached(self, job: str, *, seq: int = 0, pct: float = 0.0, status: str = "") -> None:
        """Wait until a job has come this far, or ended."""

        def there() -> bool:
            row = self.job(job)
            return row["status"] in TERMINAL or (
                row["seq"] >= seq and row["pct"] >= pct and status in ("", row["status"])
            )

        await eventually(there, within=20)

    async def all_ended(self, within: float = 30.0) -> None:
        """Wait until no job is active."""
        marks = ", ".join(f"'{status}'" for status in TERMINAL)
        count = f"SELECT count(*) AS n FROM denoise_relay_job WHERE status NOT IN ({marks})"
        try:
            await eventually(lambda: self.rows(count)[0]["n"] == 0, within=within)
        except TimeoutError:
            jobs = self.rows("SELECT id, status, seq, lease_owner, epoch FROM denoise_relay_job")
            raise AssertionError(f"jobs without an end: {jobs}\n{self.logs()}") from None

    async def finish(self, *, within: float = 30.0, status: str = "done") -> None:
        """What every scenario ends with."""
        await self.all_ended(within)
        submits = self.upstream.submits()
        for job in self.jobs:
            row, journal = self.job(job), self.journal(job)
            assert row["status"] == status, f"{row}\n{self.logs()}"
            assert [event["seq"] for event in journal] == list(range(1, row["seq"] + 1))
            terminal = [event["seq"] for event in journal if event["stage"] != "processing"]
            assert terminal == [row["seq"]], journal
            pcts = [event["pct"] for event in journal]
            assert pcts == sorted(pcts), pcts
            assert submits[job] <= self.submits_allowed.get(job, 1), submits
            self.ledger.check(job, journal)
        if status == "done":
            assert {job: submits[job] > 0 for job in self.jobs} == dict.fromkeys(self.jobs, True)
        self.no_tracebacks()

    def no_tracebacks(self) -> None:
        for process in self.processes():
            # channels_redis reports its lost connection so, once a second, and goes on.
            text = _RECEIVE_TASK.sub("", process.text)
            assert "Traceback" not in text, f"{process.name}:\n{text}"

    # Setting up

    def migrate(self) -> None:
        self.manage("migrate", "--verbosity", "0")

    def let_in(self) -> None:
        """Make the API key that `upload` uses."""
        digest = hashlib.sha256(KEY.encode()).hexdigest()
        self.rows(
            "INSERT INTO denoise_relay_apikey (name, digest, created_at) VALUES "
            "('live', %s, CURRENT_TIMESTAMP) RETURNING id",
            digest,
        )

    def clear(self) -> None:
        """Leave no job behind for the next scenario."""
        shutil.rmtree(self._folder / "media", ignore_errors=True)


class PostgresCluster(Cluster):
    """On PostgreSQL and Valkey."""

    def __init__(
        self, folder: Path, upstream: LiveUpstream, postgres: Postgres, valkey: Valkey
    ) -> None:
        self.postgres = postgres
        self.valkey = valkey
        super().__init__(
            folder, upstream, database_url=postgres.url(DATABASE), redis_url=valkey.url
        )

    def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        with self.postgres.connect(DATABASE) as connection:
            cursor = connection.execute(query.encode(), values)
            return cursor.fetchall() if cursor.description else []

    @contextlib.contextmanager
    def locked(self, table: str = "denoise_relay_job") -> Iterator[None]:
        """Nobody writes to a table meanwhile: commits wait."""
        with self.postgres.connect(DATABASE) as connection, connection.transaction():
            connection.execute(f"LOCK TABLE {table} IN EXCLUSIVE MODE".encode())
            yield

    def clear(self) -> None:
        self.rows("TRUNCATE denoise_relay_job CASCADE")
        super().clear()


class SqliteCluster(Cluster):
    """On SQLite and no channel layer: one machine, a web process with the embedded worker."""

    def __init__(self, folder: Path, upstream: LiveUpstream, valkey: Valkey | None = None) -> None:
        self.path = folder / "db.sqlite3"
        super().__init__(
            folder,
            upstream,
            database_url=f"sqlite:///{self.path}",
            redis_url=valkey.url if valkey else "",
        )

    def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        import sqlite3

        with contextlib.closing(sqlite3.connect(self.path, timeout=10)) as connection:
            connection.row_factory = sqlite3.Row
            plain = [
                v.replace("-", "") if isinstance(v, str) and len(v) == 36 else v for v in values
            ]
            found = connection.execute(query.replace("%s", "?"), plain).fetchall()
            connection.commit()
            return [dict(row) for row in found]


def silence(seconds: float) -> bytes:
    """A WAV with nothing in it: mono, 48 kHz, 16 bits."""
    whole = io.BytesIO()
    with wave.open(whole, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes(bytes(2 * int(48_000 * seconds)))
    return whole.getvalue()


SHORT = silence(0.5)
_RECEIVE_TASK = re.compile(
    r"^[^\n]*channels_redis\.pubsub: Unexpected exception in receive task\n"
    r".*?(?=^\S+ \S+ [A-Z]+ |\Z)",
    re.MULTILINE | re.DOTALL,
)
_PLAIN = {
    "DATABASE_URL",
    "REDIS_URL",
    "MEDIA_ROOT",
    "DEBUG",
    "DJANGO_SETTINGS_MODULE",
    "PYTHONPATH",
}


def measured(what: str, seconds: float) -> None:
    """Show a figure (with `pytest -s`): docs/guarantees.md quotes them."""
    print(f"\n{what}: {seconds:.2f} s")  # noqa: T201


def elapsed_since(moment: float) -> float:
    """Seconds since a `time.monotonic()`."""
    return time.monotonic() - moment
