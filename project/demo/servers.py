"""PostgreSQL and Valkey for a cluster: as children, and when they can be used."""

from __future__ import annotations

from pathlib import Path

import psycopg
import redis

from project.demo import postgres, valkey
from project.demo.child import Child
from project.demo.sites import programs_environ


class Postgres:
    """A database server of its own in `folder`; what is in it stays for the next start."""

    def __init__(self, folder: Path) -> None:
        self.url = postgres.url(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.child = Child(
            "database", folder / "log.txt", programs_environ(), "project.demo.postgres", str(folder)
        )

    def answers(self) -> bool:
        """Whether it takes connections; while it recovers from a crash it does not."""
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


class Valkey:
    """A server for the channel layer, on a TCP port of this machine; it remembers nothing."""

    def __init__(self, folder: Path, port: int) -> None:
        configuration, self.url = valkey.configure(folder, port)
        self.child = Child(
            "channel layer",
            folder / "log.txt",
            programs_environ(),
            "project.demo.valkey",
            str(configuration),
        )

    def answers(self) -> bool:
        """Whether it serves."""
        client = redis.Redis.from_url(self.url, socket_timeout=2, socket_connect_timeout=2)
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
        finally:
            client.close()
