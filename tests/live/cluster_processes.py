"""The web processes and workers of a cluster, with its environment and a log for each."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.ports import free_port
from tests.processes import Process, WebProcess, daphne, manage

#: What a worker logs when it has started.
WORKER_READY = "jobs at a time"
#: Overrides that are variables of the project; others are settings of the app.
PROJECT_VARIABLES = {
    "DATABASE_URL",
    "REDIS_URL",
    "MEDIA_ROOT",
    "DEBUG",
    "DENOISE_LOG_JSON",
    "DJANGO_SETTINGS_MODULE",
    "PYTHONPATH",
}
#: channels_redis logs a lost connection so, once a second, and recovers by itself.
RECEIVE_TASK_ERROR = re.compile(
    r"^[^\n]*channels_redis\.pubsub: Unexpected exception in receive task\n"
    r".*?(?=^\S+ \S+ [A-Z]+ |\Z)",
    re.MULTILINE | re.DOTALL,
)


class ClusterProcesses:
    """Starts and stops processes. `overrides` are settings of the app, without their prefix
    `DENOISE_RELAY_`, or one of `PROJECT_VARIABLES`."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self.folder = folder
        self.environ = dict(environ)
        self.webs: list[WebProcess] = []
        self.workers: list[Process] = []
        self._started = 0

    def web(
        self,
        port: int | None = None,
        *,
        wait: bool = True,
        server: Callable[[int], list[str]] = daphne,
        **overrides: str,
    ) -> WebProcess:
        """Start a web process on any server; `wait` until it answers."""
        name, log = self._name_and_log("web")
        port = port or free_port()
        env = self.env(overrides)
        web = WebProcess(name, server(port), port=port, env=env, log=log)
        self.webs.append(web)
        if wait:
            web.wait_until_ready()
        return web

    def worker(self, *options: str, wait: bool = True, **overrides: str) -> Process:
        """Start a worker; `wait` until it looks for jobs."""
        name, log = self._name_and_log("worker")
        command = manage("denoise_worker", *options)
        worker = Process(name, command, env=self.env(overrides), log=log)
        self.workers.append(worker)
        if wait:
            worker.wait_for_output(WORKER_READY)
        return worker

    def start_webs(self, count: int, *, workers: int = 1, **overrides: str) -> list[WebProcess]:
        """Start web processes and workers at the same time, and wait for all of them.

        `overrides` are for the web processes alone.
        """
        started = [self.worker(wait=False) for _ in range(workers)]
        webs = [self.web(wait=False, **overrides) for _ in range(count)]
        for web in webs:
            web.wait_until_ready()
        for worker in started:
            worker.wait_for_output(WORKER_READY)
        return webs

    def start(self, *, workers: int = 1, **overrides: str) -> WebProcess:
        """Start one web process, and workers."""
        (web,) = self.start_webs(1, workers=workers, **overrides)
        return web

    def manage(self, *args: str) -> str:
        """Run a management command until it succeeds; return what it printed."""
        name, log = self._name_and_log("manage")
        process = Process(name, manage(*args), env=self.env({}), log=log)
        assert process.wait(60) == 0, process.output
        return process.output

    def processes(self) -> list[Process]:
        return [*self.webs, *self.workers]

    def close(self) -> None:
        """Stop every process. Raises `AssertionError` if SIGTERM did not end one in time."""
        with contextlib.ExitStack() as stack:
            for process in self.processes():
                stack.callback(process.stop)

    def logs(self) -> str:
        return "\n".join(process.tail() for process in self.processes())

    def no_tracebacks(self) -> None:
        for process in self.processes():
            text = RECEIVE_TASK_ERROR.sub("", process.output)
            assert "Traceback" not in text, f"{process.name}:\n{text}"

    def env(self, overrides: Mapping[str, str]) -> dict[str, str]:
        """The whole environment of a process."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name != "DJANGO_SETTINGS_MODULE" and not name.startswith("DENOISE_RELAY_")
        }
        named = {
            name if name in PROJECT_VARIABLES else f"DENOISE_RELAY_{name}": value
            for name, value in overrides.items()
        }
        return inherited | self.environ | named

    def _name_and_log(self, kind: str) -> tuple[str, Path]:
        self._started += 1
        name = f"{kind}{self._started}"
        return name, self.folder / f"{name}.log"
