"""Servers for the fault scenarios: one PostgreSQL, one Valkey, one upstream for the session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.cluster import DATABASE, PostgresCluster, SqliteCluster
from tests.live.servers import Postgres, Valkey
from tests.live.upstream import LiveUpstream


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """PostgreSQL with a migrated database."""
    with Postgres() as server:
        with server.connect() as connection:
            connection.execute(f"CREATE DATABASE {DATABASE}".encode())
        folder = tmp_path_factory.mktemp("migrate")
        with LiveUpstream() as upstream, Valkey() as valkey:
            cluster = PostgresCluster(folder, upstream, server, valkey)
            cluster.migrate()
            cluster.let_in()
        yield server


@pytest.fixture(scope="session")
def valkey() -> Iterator[Valkey]:
    with Valkey() as server:
        yield server


@pytest.fixture(scope="session")
def live_upstream() -> Iterator[LiveUpstream]:
    with LiveUpstream() as upstream:
        yield upstream


@pytest.fixture
def cluster(
    postgres: Postgres, valkey: Valkey, live_upstream: LiveUpstream, tmp_path: Path
) -> Iterator[PostgresCluster]:
    """An empty cluster on PostgreSQL and Valkey; the scenario starts its processes."""
    live_upstream.reset()
    cluster = PostgresCluster(tmp_path, live_upstream, postgres, valkey)
    try:
        yield cluster
    finally:
        try:
            cluster.close()
        finally:
            cluster.clear()


@pytest.fixture
def single(live_upstream: LiveUpstream, tmp_path: Path) -> Iterator[SqliteCluster]:
    """A site on SQLite, migrated; the scenario starts its processes."""
    live_upstream.reset()
    cluster = SqliteCluster(tmp_path, live_upstream)
    cluster.migrate()
    cluster.let_in()
    try:
        yield cluster
    finally:
        cluster.close()
