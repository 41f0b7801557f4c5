"""Folders for files that are being made, beside the recordings, where a move copies nothing."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from pathlib import Path
from typing import Final

from denoise_relay.conf import RelaySettings
from denoise_relay.runtime import disk

#: Name of the default folder of workspaces, and what the name of each begins with.
FOLDER: Final = ".denoise-work"
PREFIX: Final = "run-"
#: How long after its job's deadline a workspace counts as left behind by a killed process.
ABANDONED_SECONDS: Final = 86_400.0


def new_folder(settings: RelaySettings) -> tempfile.TemporaryDirectory[str]:
    """A folder for one run, deleted with all that is left in it.

    In `WORK_DIR`, or beside the recordings, where results are renamed and not copied.
    """
    # An error about files that a backend left must not hide the backend's own error.
    return tempfile.TemporaryDirectory(
        prefix=PREFIX, dir=_parent(settings), ignore_cleanup_errors=True
    )


def delete_abandoned(settings: RelaySettings) -> None:
    """Delete the workspaces of processes that were killed."""
    oldest = time.time() - settings.JOB_DEADLINE_SECONDS - ABANDONED_SECONDS
    for path in _parent(settings).glob(f"{PREFIX}*"):
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime < oldest:
                shutil.rmtree(path, ignore_errors=True)


def _parent(settings: RelaySettings) -> Path:
    return disk.folder_beside_recordings(FOLDER, settings.WORK_DIR, "WORK_DIR")
