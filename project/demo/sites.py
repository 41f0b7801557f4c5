"""The sites of a demo or a cluster, and what their environments say."""

from __future__ import annotations

import http.client
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from project.demo.processes import Child

HOST = "127.0.0.1"

# What the demo decides itself; a value that is set in the shell must not reach a site.
_OURS = (
    "ALLOWED_HOSTS",
    "CSRF_TRUSTED_ORIGINS",
    "DATABASE_URL",
    "DEBUG",
    "MEDIA_ROOT",
    "REDIS_URL",
    "SECRET_KEY",
    "STATIC_ROOT",
    "DENOISE_RELAY_API_KEY",
    "DENOISE_RELAY_BACKEND",
    "DENOISE_RELAY_UPSTREAM_URL",
    "DENOISE_RELAY_WORKER",
)


def programs_environ() -> dict[str, str]:
    """What every process inherits: the caller's environment, without what we decide."""
    inherited = {name: value for name, value in os.environ.items() if name not in _OURS}
    return {**inherited, "PYTHONUNBUFFERED": "1"}


@dataclass(frozen=True, kw_only=True)
class Site:
    """The service or what is in front of it: one process, or what several have in common."""

    name: str
    port: int
    #: Its database, recordings, secrets and log.
    folder: Path
    settings_module: str = "project.settings"
    #: Beyond what both have.
    own: Mapping[str, str]

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}/"

    @property
    def log(self) -> Path:
        return self.folder / "log.txt"

    def environ(self) -> dict[str, str]:
        """The whole environment of its processes. Secrets travel here, never in arguments."""
        return {
            **programs_environ(),
            "DJANGO_SETTINGS_MODULE": self.settings_module,
            "DATABASE_URL": f"sqlite:///{self.folder / 'db.sqlite3'}",
            "MEDIA_ROOT": str(self.folder / "media"),
            **self.own,
        }

    def start(self, module: str, *args: str) -> Child:
        """Start a process of this site."""
        return Child(self.name, self.log, self.environ(), module, *args)

    def serve(self) -> Child:
        """Start its web process."""
        return self.start("project.demo.server", "web", str(self.port))

    def prepare(self) -> Child:
        """Start making its database ready; see `prepare` for what is found in the folder then."""
        return self.start("project.demo.prepare", self.name, str(self.folder))

    def answers(self) -> bool:
        """Whether its web process says that it is alive."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=2)
        try:
            connection.request("GET", "/healthz/live")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def service(port: int, folder: Path) -> Site:
    """Does the work, with the local engine."""
    return Site(
        name="service",
        port=port,
        folder=folder / "service",
        # Cookies do not tell ports apart: its own names keep people logged in to both.
        settings_module="project.demo.service_settings",
        own={"DENOISE_RELAY_BACKEND": "local"},
    )


def site(port: int, folder: Path, *, upstream: str, api_key: str, private_host: str = "") -> Site:
    """What people look at: sends recordings to `upstream`.

    `private_host` (`host:port`) names a loopback server whose results may be fetched.
    """
    return Site(
        name="site",
        port=port,
        folder=folder / "site",
        own={
            "DENOISE_RELAY_BACKEND": "upstream",
            "DENOISE_RELAY_UPSTREAM_URL": upstream,
            "DENOISE_RELAY_API_KEY": api_key,
            **({"DENOISE_RELAY_ALLOWED_RESULT_HOSTS": private_host} if private_host else {}),
        },
    )
