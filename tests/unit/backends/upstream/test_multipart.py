from __future__ import annotations

import io
from pathlib import Path

import pytest

from denoise_relay.backends.upstream.errors import UploadAbandoned
from denoise_relay.backends.upstream.multipart import CHUNK_BYTES, MultipartBody, open_source
from denoise_relay.testing.http1 import Head, file_part


def head(upload: MultipartBody) -> Head:
    headers = {name.lower(): value for name, value in upload.headers.items()}
    return Head(method="POST", path="/", query={}, headers=headers)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "recording"
    path.write_bytes(bytes(range(256)) * (CHUNK_BYTES * 3 // 256 + 5))
    return path


async def test_the_body_is_a_form_of_the_announced_length(source: Path) -> None:
    percents: list[int] = []
    with open_source(source) as file:
        upload = MultipartBody(file, file_name="job-1.m4a", on_percent=percents.append)
        body = b"".join([chunk async for chunk in upload])
    assert len(body) == int(upload.headers["Content-Length"])
    part = file_part(head(upload), body)
    assert part is not None
    assert (part.field, part.file_name, part.content_type) == ("audio", "job-1.m4a", "audio/mp4")
    assert part.content == source.read_bytes()
    assert percents == [33, 66, 99, 100]


async def test_an_empty_file_is_a_form_too(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.touch()
    with open_source(path) as file:
        upload = MultipartBody(file, file_name="job-1.bin", on_percent=lambda _: None)
        part = file_part(head(upload), b"".join([chunk async for chunk in upload]))
    assert part is not None
    assert (part.content, part.content_type) == (b"", "application/octet-stream")


async def test_an_abandoned_upload_never_becomes_whole(source: Path) -> None:
    with open_source(source) as file:
        upload = MultipartBody(file, file_name="job-1.wav", on_percent=lambda _: None)
        chunks = upload.__aiter__()
        for _head_and_file in range(1 + 4):
            await anext(chunks)
        upload.abandon()
        with pytest.raises(UploadAbandoned):
            await anext(chunks)


async def test_a_file_that_shrinks_is_an_error_and_not_a_short_body(source: Path) -> None:
    with open_source(source) as file:
        upload = MultipartBody(file, file_name="job-1.wav", on_percent=lambda _: None)
        chunks = upload.__aiter__()
        await anext(chunks)
        with source.open("r+b") as other:
            other.truncate(10)
        with pytest.raises(OSError, match="shorter"):  # noqa: PT012
            while True:
                await anext(chunks)


def test_a_file_in_memory_is_refused() -> None:
    with pytest.raises(io.UnsupportedOperation):
        MultipartBody(io.BytesIO(b"x"), file_name="a.wav", on_percent=lambda _: None)
