"""The disk that recordings are on: folders beside them, room for more, and writes that stay."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import FileSystemStorage

from denoise_relay.models import media_storage

#: Bytes that stay free on a disk: a full one stops databases.
SPARE_BYTES: Final = 256 * 1024 * 1024


def folder_beside_recordings(name: str, configured: str, setting: str) -> Path:
    """The folder `configured`, or one of this name beside the recordings, or in the system's
    temporary folder where these are remote. From beside them files are renamed, not copied.

    `setting` is what configures it. Raises `ImproperlyConfigured` for another user's folder.
    """
    storage = media_storage()
    if configured:
        path = Path(configured)
    elif isinstance(storage, FileSystemStorage):
        path = Path(storage.location) / name
    else:
        path = Path(tempfile.gettempdir()) / f"{name}-{os.geteuid()}"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Where all users may write, another one may have taken the name, for example with a link.
    if not configured and (path.is_symlink() or path.stat().st_uid != os.geteuid()):
        raise ImproperlyConfigured(f"{path} is not ours: set {setting} to a folder that is.")
    return path


def require_room(folder: Path, size_bytes: int = 0) -> None:
    """Raise `OSError` with `ENOSPC` unless the disk has room for so much and `SPARE_BYTES`.

    What is asked for is not reserved: of two that ask at once, both may be told yes.
    """
    if shutil.disk_usage(folder).free < size_bytes + SPARE_BYTES:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def sync(path: Path) -> None:
    """Have the kernel write a file, and its name in the folder, to the disk. Raises `OSError`."""
    for each in (path, path.parent):
        descriptor = os.open(each, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
