"""Ports of this machine: free for the asking, or taken by somebody else."""

from __future__ import annotations

import socket
import time

from project.demo.sites import HOST

PORT_SECONDS = 2.0
"""A port may still belong to a demo that is just ending."""


class PortTaken(Exception):
    """Somebody else listens there; the text says so."""


def expect_free(port: int, advice: str) -> None:
    """Return when a server could listen there; raise `PortTaken`, with `advice`, if none can."""
    deadline = time.monotonic() + PORT_SECONDS
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            # As the server does: connections that are closing do not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError as error:
                if time.monotonic() > deadline or isinstance(error, PermissionError):
                    raise PortTaken(
                        f"Port {port} of {HOST} is taken ({error.strerror}). {advice}"
                    ) from error
            else:
                return
        time.sleep(0.1)


def free_port() -> int:
    """A port that is free now, and not soon given to another who asks so."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
