"""A cluster under test: web processes and workers on real servers, jobs, and their rows.

    async def test_something(cluster):
        web = cluster.start()
        job = await cluster.upload(web)
        async with cluster.watching(job) as (viewer,): ...

Each scenario ends with `finish`: every job is terminal, with one upstream job and a journal
without gaps; all viewers received the same frames; no process logged a traceback.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.live.cluster_processes import ClusterProcesses
from tests.live.cluster_rows import JobRows
from tests.live.recordings import SHORT
from tests.live.state_servers import Postgres, Valkey
from tests.live.viewers import FrameLog, Viewer
from tests.processes import Process, WebProcess
from tests.sites import sqlite_rows
from tests.upstreams import TimedUpstream
from tests.waiting import eventually

#: Stored by `migrate`.
API_KEY = "dr_live-tests-only"
DATABASE = "live"
LEASE_SECONDS = 3.0
POSITION_CHECK_SECONDS = 1.0
#: Shorter than the defaults, so that tests need not wait for long.
TIMEOUTS = {
    "LEASE_SECONDS": f"{LEASE_SECONDS:g}",
    "UPSTREAM_SILENCE_SECONDS": "3",
    "SUBMISSION_GRACE_SECONDS": "2",
    "POSITION_CHECK_SECONDS": f"{POSITION_CHECK_SECONDS:g}",
}


class Cluster(ClusterProcesses, JobRows):
    """Everything that one scenario needs; `close` stops what it started."""

    def __init__(
        self, folder: Path, upstream: TimedUpstream, *, database_url: str, redis_url: str = ""
    ) -> None:
        self.upstream = upstream
        self.frames = FrameLog()
        self.jobs: list[str] = []
        environ = {
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
            # What the scripted upstream returns has nothing to do with what it got.
            "DENOISE_RELAY_VERIFY_RESULTS": "0",
            "DENOISE_RELAY_ANALYSE_RESULTS": "0",
            **{f"DENOISE_RELAY_{name}": value for name, value in TIMEOUTS.items()},
        }
        super().__init__(folder, environ)

    # Jobs

    async def upload(self, web: WebProcess, recording: bytes = SHORT) -> str:
        """Send a file to the API; return the job's id."""
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            answer = await client.post(
                f"{web.url}/api/v1/denoise",
                headers={"x-api-key": API_KEY},
                files={"audio": ("recording.wav", recording, "audio/wav")},
            )
        assert answer.status_code == 200, f"{answer.status_code} {answer.text}\n{self.logs()}"
        job: str = answer.json()["denoiseId"]
        self.jobs.append(job)
        return job

    async def uploads(self, web: WebProcess, count: int) -> list[str]:
        """Several at a time."""
        return list(await asyncio.gather(*(self.upload(web) for _ in range(count))))

    def copy_job(self, job: str, copies: int) -> list[str]:
        made = super().copy_job(job, copies)
        self.jobs += made
        return made

    # Viewers

    @contextlib.asynccontextmanager
    async def watching(
        self,
        *jobs: str,
        viewers: int = 1,
        kind: str = "socket",
        webs: list[WebProcess] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[list[Viewer]]:
        """Viewers of each job, who reconnect until they have seen its end. They choose among
        `webs` (all, by default), which may change meanwhile."""
        watchers = [
            Viewer(
                job,
                frames=self.frames,
                urls=lambda: [web.url for web in (self.webs if webs is None else webs)],
                headers=headers or {"x-api-key": API_KEY},
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

    @contextlib.asynccontextmanager
    async def watching_both(
        self, *jobs: str, sockets: int = 1, streams: int = 1, **options: Any
    ) -> AsyncIterator[tuple[list[Viewer], list[Viewer]]]:
        """Viewers on WebSockets and viewers on SSE of each job; `options` as for `watching`."""
        async with (
            self.watching(*jobs, viewers=sockets, **options) as on_sockets,
            self.watching(*jobs, viewers=streams, kind="sse", **options) as on_streams,
        ):
            yield on_sockets, on_streams

    # Leases

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

    # The end of a scenario

    async def finish(self, *, within: float = 30.0, status: str = "done") -> None:
        """Wait until all jobs have ended, and check what must hold after every scenario."""
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
            assert submits[job] <= 1, submits
            self.frames.check(job, journal)
        if status == "done":
            assert {job: submits[job] > 0 for job in self.jobs} == dict.fromkeys(self.jobs, True)
        self.no_tracebacks()

    # Setting up

    def migrate(self) -> None:
        """Make the tables, and the API key that `upload` uses."""
        self.manage("migrate", "--verbosity", "0")
        self.rows(
            "INSERT INTO denoise_relay_apikey (name, digest, created_at) VALUES "
            "('live', %s, CURRENT_TIMESTAMP) RETURNING id",
            hashlib.sha256(API_KEY.encode()).hexdigest(),
        )

    def clear(self) -> None:
        """Delete the jobs, for the next scenario."""
        shutil.rmtree(self.folder / "media", ignore_errors=True)


class PostgresCluster(Cluster):
    """On PostgreSQL and Valkey, or on PostgreSQL alone, which carries the news then."""

    def __init__(
        self,
        folder: Path,
        upstream: TimedUpstream,
        postgres: Postgres,
        valkey: Valkey,
        *,
        pubsub: str = "channel_layer",
    ) -> None:
        self.postgres = postgres
        self.valkey = valkey
        redis_url = valkey.url if pubsub == "channel_layer" else ""
        super().__init__(folder, upstream, database_url=postgres.url(DATABASE), redis_url=redis_url)
        self.environ["DENOISE_RELAY_PUBSUB"] = pubsub

    def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        with self.postgres.connect(DATABASE) as connection:
            cursor = connection.execute(query.encode(), values)
            return cursor.fetchall() if cursor.description else []

    @contextlib.contextmanager
    def locked(self, table: str = "denoise_relay_job") -> Iterator[None]:
        """A lock on a table: until the end of the block, commits that write to it wait."""
        with self.postgres.connect(DATABASE) as connection, connection.transaction():
            connection.execute(f"LOCK TABLE {table} IN EXCLUSIVE MODE".encode())
            yield

    def clear(self) -> None:
        self.rows("TRUNCATE denoise_relay_job CASCADE")
        super().clear()


#: For scenarios that both ways to carry the news must bear.
over_both = pytest.mark.parametrize("cluster", ["channel_layer", "postgresql"], indirect=True)
#: For scenarios that both ways from Daphne to a socket must bear.
over_both_sends = pytest.mark.usefixtures("sends")


class SqliteCluster(Cluster):
    """On SQLite and without a channel layer: processes of one machine that share a file."""

    def __init__(self, folder: Path, upstream: TimedUpstream) -> None:
        self.path = folder / "db.sqlite3"
        super().__init__(folder, upstream, database_url=f"sqlite:///{self.path}")

    def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        return sqlite_rows(self.path, query, *values)


def report(what: str, seconds: float) -> None:
    """Show a figure (with `pytest -s`); docs/guarantees.md quotes them."""
    print(f"\n{what}: {seconds:.2f} s")  # noqa: T201
