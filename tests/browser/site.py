"""The demo's site alone, as `daphne project.asgi:application`, in front of a given upstream."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from denoise_relay.testing import ScriptedUpstream
from tests.live.demo_process import ROOT
from tests.ports import free_port
from tests.waiting import wait_for

START_SECONDS = 30.0
INHERITED = ("PATH", "HOME", "LANG", "VIRTUAL_ENV", "TMPDIR", "PYTHONPATH")


class SiteProcess:
    """`with SiteProcess(folder, upstream) as site:` serves `site.url`, with a fresh database."""

    def __init__(self, folder: Path, upstream: ScriptedUpstream) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = folder / "log.txt"
        self._env = {name: os.environ[name] for name in INHERITED if name in os.environ} | {
            "DJANGO_SETTINGS_MODULE": "project.settings",
            "DATABASE_URL": f"sqlite:///{folder / 'db.sqlite3'}",
            "MEDIA_ROOT": str(folder / "media"),
            "SECRET_KEY": "browser tests only",
            "DEBUG": "1",  # static files without collectstatic
            "DENOISE_RELAY_BACKEND": "upstream",
            "DENOISE_RELAY_UPSTREAM_URL": upstream.url,
            "DENOISE_RELAY_API_KEY": upstream.key,
            "DENOISE_RELAY_ALLOWED_RESULT_HOSTS": upstream.netloc,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        migrate = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
        subprocess.run(migrate, cwd=ROOT, env=self._env, check=True, timeout=60)
        daphne = ["-m", "daphne", "--bind", "127.0.0.1", "--port", str(self.port)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *daphne, "project.asgi:application"],
                cwd=ROOT,
                env=self._env,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        wait_for(self._answers, within=START_SECONDS)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)

    def _answers(self) -> bool:
        assert self._process
        assert self._process.poll() is None, self._log.read_text()
        try:
            return httpx.get(f"{self.url}/healthz/live", trust_env=False).is_success
        except httpx.TransportError:
            return False
