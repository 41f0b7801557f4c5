"""What the child process may use. Set by the child itself, before it loads any native library.

Not a `preexec_fn`: Python between fork and exec can deadlock in a server that has threads.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from typing import Final

try:
    import resource
except ImportError:  # Windows has no rlimits; the parent's timeout still holds there
    resource = None  # type: ignore[assignment]

#: Address space. Measured: 0.32 GiB on 2 cores; more cores mean more thread stacks in FFmpeg.
MEMORY_BYTES: Final = 1536 * 1024 * 1024
#: Regular files, until `bound_output` knows better. Room for Python's bytecode cache, no more.
FILE_BYTES: Final = 16 * 1024 * 1024
OPEN_FILES: Final = 64
NICENESS: Final = 10

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38


def apply(*, cpu_seconds: int, parent_pid: int) -> None:
    """Limit this process for good: memory, CPU, files, privileges; die with `parent_pid`.

    A limit that the system does not know (prctl outside Linux, RLIMIT_AS on macOS) is skipped.
    Exits at once if the parent is already dead.
    """
    _die_with(parent_pid)
    if hasattr(os, "nice"):
        with contextlib.suppress(OSError):
            os.nice(NICENESS)
    if resource is not None:
        _lower(resource.RLIMIT_CORE, 0)
        _lower(resource.RLIMIT_AS, MEMORY_BYTES)
        _lower(resource.RLIMIT_CPU, cpu_seconds)
        _lower(resource.RLIMIT_NOFILE, OPEN_FILES)
        _lower(resource.RLIMIT_FSIZE, FILE_BYTES, keep_hard=True)


def bound_output(max_bytes: int) -> None:
    """From now on no regular file written by this process may grow past `max_bytes`."""
    if resource is not None:
        _lower(resource.RLIMIT_FSIZE, max_bytes)


def _lower(what: int, value: int, *, keep_hard: bool = False) -> None:
    with contextlib.suppress(ValueError, OSError):
        _, hard = resource.getrlimit(what)
        if hard != resource.RLIM_INFINITY:
            value = min(value, hard)
        resource.setrlimit(what, (value, hard if keep_hard else value))


def _die_with(parent_pid: int) -> None:
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    # The parent may have died before prctl: no signal comes then, but we have a new parent.
    if hasattr(os, "getppid") and os.getppid() != parent_pid:
        os._exit(1)
