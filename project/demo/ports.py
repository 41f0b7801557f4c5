"""What one run needs for itself alone: free ports, and a folder."""

from __future__ import annotations

import contextlib
import fcntl
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from project.demo.sites import HOST

#: A port may still belong to a demo that is just ending.
PORT_SECONDS = 2.0


class Taken(Exception):
    """Another process has the port or the folder; the text says which, and what to do."""


def expect_free(port: int, advice: str) -> None:
    """Return when a server could listen there; raise `Taken`, with `advice`, if none can."""
    deadline = time.monotonic() + PORT_SECONDS
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            # As the server does: connections that are closing do not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError as error:
                if time.monotonic() > deadline or isinstance(error, PermissionError):
                    raise Taken(
                        f"Port {port} of {HOST} is taken ({error.strerror}). {advice}"
                    ) from error
            else:
                return
        time.sleep(0.1)


def free_port() -> int:
    """A port that is free now, and not soon given to another process that asks so."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def own_folder(state: Path, port: int) -> Iterator[Path]:
    """Yield `state`, or `state-<port>` while another run uses that one; raises `Taken`."""
    for folder in (state, state.with_name(f"{state.name}-{port}")):
        folder.mkdir(parents=True, exist_ok=True)
        # The kernel releases the lock when this process ends, in whatever way.
        with (folder / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield folder
            return
    raise Taken(f"Two demos or clusters are running in {state} already. Stop one of them.")
