"""Writes recordings to Django's storage, reads them for backends, streams them to listeners."""

from __future__ import annotations

import asyncio
import shutil
import threading
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from django.core.files import File
from django.core.files.storage import FileSystemStorage, Storage
from django.core.files.uploadedfile import UploadedFile

from denoise_relay.formats import extension_of
from denoise_relay.models import Job, media_name, media_storage
from denoise_relay.runtime import disk


def local_copy(job: Job, workspace: Path) -> Path:
    """A local path of the recording: the storage's own, or a copy in `workspace` if it has none.

    It is the original; of a damaged one, what could be read of it, once that has been made.
    """
    if job.damaged and job.sent.name:
        return local_file(job.sent.name, workspace / f"sent.{extension_of(job.sent.name)}")
    return local_file(job.original.name or "", workspace / f"original.{job.extension or 'bin'}")


def local_file(name: str, target: Path) -> Path:
    """A local path of a stored file: the storage's own, or the copy `target` if it has none."""
    try:
        return Path(media_storage().path(name))
    except NotImplementedError:
        with media_storage().open(name, "rb") as source, target.open("wb") as copy:
            shutil.copyfileobj(source, copy, 1024 * 1024)
        return target


def store(job: Job, file_name: str, content: File[bytes]) -> str:
    """Store a recording; return its name in the storage, which nobody can guess.

    On a local disk it is there when this returns, also after a power failure: the row that names it
    is committed next.
    """
    storage = media_storage()
    name = storage.save(media_name(job, file_name), content)
    if isinstance(storage, FileSystemStorage):
        disk.sync(Path(storage.path(name)))
    return name


def store_result(job: Job, file: Path) -> str:
    """Store a backend's result; return its name in the storage. The file stays, so that this can
    be repeated."""
    link = file.with_name(f"{file.name}.storing")
    link.unlink(missing_ok=True)
    with file.open("rb") as content:
        try:
            # A storage on the same disk renames the link, which copies nothing.
            link.hardlink_to(file)
        except OSError:  # a disk without hard links
            return store(job, file.name, File(content))
        try:
            return store(job, file.name, MovableFile(content, link, name=file.name))
        finally:
            link.unlink(missing_ok=True)


class MovableFile(UploadedFile):  # type: ignore[type-arg]  # not generic at run time
    """A file with a path of its own on the disk, which storages rename instead of copying."""

    def __init__(self, content: BinaryIO, path: Path, *, name: str) -> None:
        super().__init__(content, name=name, size=path.stat().st_size)
        self._path = path

    def temporary_file_path(self) -> str:
        return str(self._path)


def discard(name: str) -> None:
    """Delete a stored file that no row names. "" and a missing file are ignored."""
    if name:
        media_storage().delete(name)


def own_url(name: str) -> str:
    """The URL of a file whose storage serves files itself, on whatever host; "" for a local one."""
    storage = media_storage()
    try:
        storage.path(name)
    except NotImplementedError:
        url: str = storage.url(name)
        return url if urlsplit(url).scheme in ("http", "https") else ""
    return ""


#: Bytes of one read. Each read is a call in a thread: large enough to make the cost of that
#: small, small enough for memory.
CHUNK_BYTES = 256 * 1024
#: Longest time that the storage may take for one read.
READ_SECONDS = 30.0


class FileStream:
    """Iterates once over `length` bytes from offset `first`. Opens the file at the first read.

    Django calls `close` in a thread when the response has been sent or the client has gone
    (`HttpResponseBase._resource_closers`).
    """

    def __init__(self, storage: Storage, name: str, *, first: int, length: int) -> None:
        self._storage = storage
        self._name = name
        self._first = first
        self._left = length
        self._file: File[bytes] | None = None
        self._closed = False
        # A cancelled await leaves its thread running: `close` must not close the file during a
        # read, and that thread must not open the file after `close`.
        self._lock = threading.Lock()

    def __aiter__(self) -> FileStream:
        return self

    async def __anext__(self) -> bytes:
        """Raises `OSError` if the file has become shorter, `TimeoutError` if the storage is slow.

        Both break the connection, so that the client does not take a part for the whole file.
        """
        if not self._left:
            raise StopAsyncIteration
        # Not the thread-sensitive thread, which the request's ORM calls need: storages may be slow.
        async with asyncio.timeout(READ_SECONDS):
            chunk = await asyncio.get_running_loop().run_in_executor(None, self._read)
        self._left -= len(chunk)
        return chunk

    def _read(self) -> bytes:
        with self._lock:
            if self._closed:
                raise OSError(f"{self._name} is no longer wanted")
            if self._file is None:
                self._file = self._storage.open(self._name, "rb")
                self._file.seek(self._first)
            chunk: bytes = self._file.read(min(CHUNK_BYTES, self._left))
        if not chunk:
            raise OSError(f"{self._name} ends {self._left} bytes early")
        return chunk

    def close(self) -> None:
        """Close the file, after a running read has ended. May be repeated. Blocking."""
        with self._lock:
            self._closed = True
            if self._file is not None:
                self._file.close()
