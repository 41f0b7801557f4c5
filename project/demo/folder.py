"""The folder of one run, which no other run may use meanwhile."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path


class FolderTaken(Exception):
    """Others run there; the text says so."""


@contextlib.contextmanager
def own_folder(state: Path, port: int) -> Iterator[Path]:
    """Yield `state`, or `state-<port>` while another run uses that one."""
    for folder in (state, state.with_name(f"{state.name}-{port}")):
        folder.mkdir(parents=True, exist_ok=True)
        # Released by the kernel when this process ends, however it does.
        with (folder / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield folder
            return
    raise FolderTaken(f"Two of us are running in {state} already.")
