"""The stream of a file's bytes: bounded reads, and failures."""

from __future__ import annotations

import asyncio
import io
import threading
from pathlib import Path

import pytest
from django.core.files.base import ContentFile, File
from django.core.files.storage import FileSystemStorage

from denoise_relay.media import storage as media_storage
from denoise_relay.media.storage import FileStream
from tests.db.media.recordings import CONTENT


async def _parts(storage: FileSystemStorage, first: int, length: int) -> list[bytes]:
    body = FileStream(storage, "file", first=first, length=length)
    try:
        return [chunk async for chunk in body]
    finally:
        body.close()


async def test_bytes_come_in_bounded_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media_storage, "CHUNK_BYTES", 100)
    storage = FileSystemStorage(location=tmp_path)
    storage.save("file", ContentFile(CONTENT))

    parts = await _parts(storage, 10, 250)

    assert [len(part) for part in parts] == [100, 100, 50]
    assert b"".join(parts) == CONTENT[10:260]


async def test_file_that_shrank_breaks_the_connection(tmp_path: Path) -> None:
    storage = FileSystemStorage(location=tmp_path)
    storage.save("file", ContentFile(b"short"))

    with pytest.raises(OSError, match="ends 5 bytes early"):
        await _parts(storage, 0, 10)


class _Stuck(io.BytesIO):
    """A file on a network disk that hangs."""

    def __init__(self) -> None:
        super().__init__(CONTENT)
        self.reading = threading.Event()
        self.go_on = threading.Event()

    def read(self, size: int | None = -1) -> bytes:
        self.reading.set()
        assert self.go_on.wait(10)
        return super().read(size)


class _StuckStorage(FileSystemStorage):
    def __init__(self, file: _Stuck) -> None:
        super().__init__()
        self.file = file

    def _open(self, name: str, mode: str = "rb") -> File[bytes]:
        return File(self.file)


async def test_cancelled_read_returns_at_once_and_the_file_is_closed_after_it() -> None:
    file = _Stuck()
    body = FileStream(_StuckStorage(file), "file", first=0, length=10)
    reader = asyncio.ensure_future(anext(body))
    await asyncio.to_thread(file.reading.wait, 10)

    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    closing = asyncio.create_task(asyncio.to_thread(body.close))
    assert not file.closed  # its thread still reads

    file.go_on.set()
    await closing
    assert file.closed


async def test_read_that_hangs_breaks_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media_storage, "READ_SECONDS", 0.05)
    file = _Stuck()
    body = FileStream(_StuckStorage(file), "file", first=0, length=10)

    with pytest.raises(TimeoutError):
        await anext(body)
    file.go_on.set()
    await asyncio.to_thread(body.close)


async def test_closed_body_opens_nothing_more() -> None:
    file = _Stuck()
    body = FileStream(_StuckStorage(file), "file", first=0, length=10)
    body.close()

    with pytest.raises(OSError, match="no longer wanted"):
        await anext(body)
    assert not file.reading.is_set()
