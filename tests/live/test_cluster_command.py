"""`make cluster`, from the first line to the last, with a worker killed in between."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import httpx
import psycopg
import pytest

from project.demo.state_servers import postgres_url
from tests.live.demo_process import (
    DemoProcess,
    alive,
    children_of,
    command_line,
    elapsed_since,
)
from tests.live.forms import submit
from tests.live.recordings import tone_in_noise
from tests.live.viewers import FrameLog, Viewer
from tests.ports import free_row
from tests.waiting import eventually, wait_for

pytestmark = pytest.mark.timeout(150)

STOP_SECONDS = 5.0


class ClusterProcess(DemoProcess):
    """`python manage.py cluster`, with a lease that is short enough to wait for."""

    command = "cluster"
    ports = 3
    environ: ClassVar = {"DENOISE_RELAY_LEASE_SECONDS": "3"}

    @property
    def webs(self) -> list[str]:
        return [f"http://127.0.0.1:{self.port + number}" for number in (0, 1)]

    def pids(self) -> dict[str, int]:
        """Process ids by name, the newest of each, as it printed them."""
        said = re.findall(
            r"^\s*((?:web|worker) \d|service)\s+(?:starts again as )?process (\d+)",
            self.output,
            re.MULTILINE | re.IGNORECASE,
        )
        return {name.lower(): int(pid) for name, pid in said}

    @property
    def database(self) -> int:
        """Process id of PostgreSQL."""
        return int((self.state / "postgres/data/postmaster.pid").read_text().split()[0])

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(postgres_url(self.state / "postgres"), connect_timeout=10) as rows:
            return rows.execute(query.encode(), values).fetchall()

    def owner(self, job: str) -> str:
        """Which worker holds the job's lease; "" for none."""
        ((owner,),) = self.rows("SELECT lease_owner FROM denoise_relay_job WHERE id = %s", job)
        pids = self.pids()
        return next((name for name in pids if f"-{pids[name]}-" in owner), "")

    def family(self) -> list[int]:
        """Everything it has started, grandchildren included."""
        found = [self.pid]
        for pid in found:
            found += children_of(pid)
        return found[1:]


@pytest.fixture
def state() -> Iterator[Path]:
    """A folder with a name short enough for a socket in it."""
    folder = Path(tempfile.mkdtemp(prefix="relay-cluster-"))
    yield folder / "state"
    shutil.rmtree(folder, ignore_errors=True)


def viewer(cluster: ClusterProcess, browser: httpx.Client, job: str, url: str) -> Viewer:
    """Somebody with the browser's cookies, on the page of one web process."""
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    headers = {"Cookie": cookies, "Origin": url}
    return Viewer(job, frames=FrameLog(), urls=lambda: [url], headers=headers)


async def test_killed_worker_is_survived_and_all_is_watched_elsewhere(state: Path) -> None:
    with ClusterProcess(state) as cluster, cluster.ready().browser() as browser:
        _here, there = cluster.webs
        assert f"Ready:  {there}/" in cluster.output
        assert set(cluster.pids()) == {"service", "web 1", "web 2", "worker 1", "worker 2"}

        sample = viewer(cluster, browser, submit(browser), there)
        sample.start()
        await sample.finished(within=40)
        assert sample.codes == [1000]
        assert len(sample.arrivals) > 3

        job = submit(browser, recording=tone_in_noise(seconds=60))
        watching = viewer(cluster, browser, job, there)
        watching.start()
        await eventually(lambda: watching.pct > 0, within=30)
        holder = cluster.owner(job)
        assert holder.startswith("worker")
        killed = cluster.pids()[holder]
        os.kill(killed, signal.SIGKILL)
        await watching.finished(within=60)
        assert watching.codes == [1000]
        assert watching.saw_everything()
        ((status, submits, epoch),) = cluster.rows(
            "SELECT status, attempt, epoch FROM denoise_relay_job WHERE id = %s", job
        )
        assert (status, submits) == ("done", 1)
        assert epoch >= 2  # somebody took it over
        await eventually(lambda: cluster.pids()[holder] != killed)
        assert f"{holder.capitalize()} has died (killed by SIGKILL)" in cluster.output
        assert "Traceback" not in cluster.output

        family = cluster.family()
        begun = time.monotonic()
        cluster.send(signal.SIGINT)
        code = await asyncio.to_thread(cluster.ended, 15)
        assert elapsed_since(begun) < STOP_SECONDS
        assert code == 0
        assert len(family) > 10  # PostgreSQL has children of its own
        assert not [pid for pid in family if alive(pid)]
        assert "Traceback" not in "".join(p.read_text() for p in state.glob("w*/log.txt"))


def test_kill_9_of_the_command_of_all_processes_and_of_the_database(state: Path) -> None:
    with ClusterProcess(state) as cluster:
        family = cluster.ready().family()
        os.kill(cluster.pid, signal.SIGKILL)
        assert cluster.ended(within=10) == -signal.SIGKILL
        wait_for(lambda: not any(map(alive, family)), within=15)

    with ClusterProcess(state) as cluster:
        assert "password" in cluster.ready().output
        assert cluster.rows("SELECT username FROM auth_user") == [("admin",)]
        # All but PostgreSQL at once: no process is left that would end it.
        database = cluster.database
        family = cluster.family()
        lines = {pid: command_line(pid) for pid in family}
        ours = [pid for pid in family if b"-m\0project.demo." in lines[pid]]
        valkey = [pid for pid in family if b"valkey-server" in lines[pid]]
        for pid in [cluster.pid, *ours, *valkey]:
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not any(map(alive, ours)))
        assert alive(database)

    with ClusterProcess(state) as cluster:
        cluster.ready()
        assert not alive(database)
        # A database that dies ends the cluster; only the other processes are restarted.
        os.kill(cluster.database, signal.SIGKILL)
        assert cluster.ended(within=15) == 1
        assert "The database ended by itself" in cluster.output
        assert "Traceback" not in cluster.output


@pytest.mark.parametrize("offset", [0, 2], ids=["web 1", "service"])
def test_taken_port_is_one_clear_line_and_nothing_has_started(state: Path, offset: int) -> None:
    port = free_row(3)
    with (
        socket.create_server(("127.0.0.1", port + offset)),
        ClusterProcess(state, port=port) as cluster,
    ):
        assert cluster.ended(within=20) == 1
        (line,) = cluster.output.splitlines()
        assert f"Port {port + offset}" in line
        assert "make cluster PORT=" in line
    assert not state.exists()
