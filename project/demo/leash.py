"""A server that is not ours, held by a process that ends it when our parent is gone."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from project.demo.lifeline import end_with_parent


def hold(
    command: Sequence[str | Path],
    *,
    stop: signal.Signals = signal.SIGTERM,
    folder: Path,
    user: str | None = None,
) -> None:
    """Run `command` in `folder` until it ends, we are told to, or the parent dies; then exit
    with its code. `stop` is the signal at which it ends quickly and well."""
    process: subprocess.Popen[bytes] | None = None
    told = False

    def pass_on(_number: int, _frame: object) -> None:
        nonlocal told
        told = True
        if process is not None:
            process.send_signal(stop)

    # Before the start: a signal between the two must not leave a server without a leash.
    signal.signal(signal.SIGTERM, pass_on)
    end_with_parent()
    process = subprocess.Popen(  # noqa: S603  # a server from a wheel, and our own options
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        user=user,
        group=user,
        extra_groups=None if user is None else [],
    )
    if told:
        process.send_signal(stop)
    code = process.wait()
    sys.exit(code if code >= 0 else 128 - code)
