"""PostgreSQL, Valkey and an upstream for the whole session; a cluster or site for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.cluster import DATABASE, PostgresCluster, SqliteCluster
from tests.live.state_servers import Postgres, Valkey
from tests.live.tcp_proxy import TcpProxy
from tests.sites import Site
from tests.upstreams import TimedUpstream


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """PostgreSQL with a migrated database."""
    with Postgres() as server:
        with server.connect() as connection:
            connection.execute(f"CREATE DATABASE {DATABASE}".encode())
        folder = tmp_path_factory.mktemp("migrate")
        with TimedUpstream() as upstream, Valkey() as valkey:
            cluster = PostgresCluster(folder, upstream, server, valkey)
            cluster.migrate()
        yield server


@pytest.fixture(scope="session")
def valkey() -> Iterator[Valkey]:
    with Valkey() as server:
        yield server


@pytest.fixture(scope="session")
def live_upstream() -> Iterator[TimedUpstream]:
    with TimedUpstream() as upstream:
        yield upstream


@pytest.fixture
def cluster(
    request: pytest.FixtureRequest,
    postgres: Postgres,
    valkey: Valkey,
    live_upstream: TimedUpstream,
    tmp_path: Path,
) -> Iterator[PostgresCluster]:
    """A cluster on PostgreSQL and Valkey, without jobs; the test starts its processes. With
    `cluster.over_both` a test has another one, too, on PostgreSQL alone."""
    live_upstream.reset()
    cluster = PostgresCluster(
        tmp_path, live_upstream, postgres, valkey, pubsub=getattr(request, "param", "channel_layer")
    )
    try:
        yield cluster
    finally:
        try:
            cluster.close()
        finally:
            cluster.clear()


@pytest.fixture(params=["direct", "asgi"])
def sends(request: pytest.FixtureRequest, cluster: PostgresCluster) -> str:
    """How Daphne's frames come to sockets; with `cluster.over_both_sends` a test runs with each."""
    way: str = request.param
    cluster.environ["DENOISE_RELAY_DIRECT_SENDS"] = "1" if way == "direct" else "0"
    return way


@pytest.fixture
def sqlite_cluster(live_upstream: TimedUpstream, tmp_path: Path) -> Iterator[SqliteCluster]:
    """A cluster on SQLite, migrated; the test starts its processes."""
    live_upstream.reset()
    cluster = SqliteCluster(tmp_path, live_upstream)
    cluster.migrate()
    try:
        yield cluster
    finally:
        cluster.close()


@pytest.fixture(scope="session")
def migrated_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file, for sites to copy."""
    return Site(tmp_path_factory.mktemp("migrated")).database


@pytest.fixture
def postgres_proxy(postgres: Postgres) -> Iterator[TcpProxy]:
    """A proxy in front of PostgreSQL, for the workers that a test sends through it."""
    with TcpProxy(postgres.port) as proxy:
        yield proxy
