"""Free ports for servers that tests start.

A port that the kernel chooses may be taken again before the server binds it: the kernel hands
out the same range to outgoing connections and to the other pytest workers. So each worker
walks through a range of its own, below the kernel's (32768 and up on Linux), and takes no port
twice in a row.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import socket

#: The first range, how many there are, and the ports in each.
LOWEST, WORKERS, EACH = 12_000, 8, 2_500
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw7").removeprefix("gw")) % WORKERS
_start = LOWEST + _worker * EACH
# The first port differs from run to run: those of the last run may still be closing.
_offsets = itertools.count(os.getpid() * 37 % EACH)


def free_row(length: int) -> int:
    """The first of `length` consecutive ports that are free now."""
    for _ in range(EACH):
        offset = next(_offsets) % (EACH - length)
        with contextlib.ExitStack() as sockets, contextlib.suppress(OSError):
            for port in range(_start + offset, _start + offset + length):
                sockets.enter_context(socket.socket()).bind(("127.0.0.1", port))
            for _ in range(length - 1):
                next(_offsets)
            return _start + offset
    raise RuntimeError(f"no {length} free ports in a row")


def free_port() -> int:
    """A port that is free now."""
    return free_row(1)
