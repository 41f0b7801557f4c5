"""Which files may become jobs, and the error messages for the others."""

from __future__ import annotations

import asyncio
import math
import struct
import wave
from io import BytesIO
from typing import Any

import pytest
from django.core.files.base import ContentFile, File
from django.core.files.uploadedfile import TemporaryUploadedFile
from django.utils import translation
from pytest_django import Settings

from denoise_relay import engine
from denoise_relay.exceptions import UploadRejected
from denoise_relay.jobs import validation

pytestmark = pytest.mark.skipif(not engine.available(), reason="needs the local engine")


def tone(seconds: float = 0.5) -> bytes:
    """A WAV file of a sine."""
    content = BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        count = int(8000 * seconds)
        samples = (int(8000 * math.sin(n / 5)) for n in range(count))
        file.writeframes(struct.pack(f"<{count}h", *samples))
    return content.getvalue()


async def test_a_recording_is_accepted() -> None:
    content = tone(1.5)

    recording = await validation.validate(ContentFile(content, "Talk.WAV"))

    assert recording.name == "Talk.WAV"
    assert recording.size_bytes == len(content)
    assert recording.duration_seconds == pytest.approx(1.5, abs=0.01)
    assert not recording.is_video


async def test_the_sample_is_accepted_and_left_at_its_beginning() -> None:
    sample = validation.sample()

    recording = await validation.validate(sample)

    assert recording.name == f"{validation.SAMPLE_NAME}.mp3"
    assert recording.duration_seconds
    assert sample.tell() == 0


async def test_a_large_upload_is_read_where_it_is_on_disk() -> None:
    content = tone()
    with TemporaryUploadedFile("a.wav", "audio/wav", len(content), None) as upload:
        upload.write(content)
        upload.seek(0)

        assert (await validation.validate(upload)).duration_seconds == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    ("content", "name", "code", "words"),
    [
        (b"", "a.wav", "empty", "This file is empty. Choose a recording with sound in it."),
        (b"x" * 2001, "a.wav", "too_large", "This file is too large: 2.0\xa0KB. The limit is"),
        (b"MZ", "a.exe", "unsupported", "This kind of file cannot be processed. Use AVI, FLAC,"),
        (b"RIFF", "wav", "unsupported", "This kind of file cannot be processed."),
        (b"x" * 2000, "a.mp3", "not_media", "This is not an audio or video file"),
        (b"<?php system($_GET[0]); ?>", "a.wav", "not_media", "This is not an audio"),
        (tone(0.1)[:600], "a.wav", "truncated", "The file is incomplete"),
    ],
)
async def test_refusals(
    settings: Settings, content: bytes, name: str, code: str, words: str
) -> None:
    settings.DENOISE_RELAY = {"MAX_UPLOAD_BYTES": 2000}

    with pytest.raises(UploadRejected) as refused:
        await validation.validate(ContentFile(content, name))

    assert refused.value.code == code
    assert str(refused.value).startswith(words)


async def test_a_recording_that_is_too_long(settings: Settings) -> None:
    settings.DENOISE_RELAY = {"MAX_DURATION_SECONDS": 1}

    with pytest.raises(UploadRejected) as refused:
        await validation.validate(ContentFile(tone(2), "a.wav"))

    assert refused.value.code == "too_long"


async def test_errors_are_in_the_persons_language() -> None:
    with translation.override("ar"), pytest.raises(UploadRejected) as refused:
        await validation.validate(ContentFile(b"", "a.wav"))

    assert refused.value.code == "empty"


def fail_probes(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    async def probe(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(engine, "probe", probe)


async def test_without_an_engine_the_content_is_not_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fail_probes(monkeypatch, engine.EngineUnavailable("av"))

    assert (await validation.validate(ContentFile(b"x", "a.wav"))).duration_seconds is None
    monkeypatch.setattr(engine, "available", lambda *_: False)
    assert (await validation.validate(ContentFile(b"x", "a.wav"))).duration_seconds is None


async def test_a_file_that_crashes_the_engine_is_rejected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fail_probes(monkeypatch, engine.EngineCrashed("SIGSEGV"))

    with pytest.raises(UploadRejected, match="could not be read") as refused:
        await validation.validate(ContentFile(b"x", "a.wav"))

    assert refused.value.code == "not_media"
    assert "SIGSEGV" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("voice.wav", "voice.wav"),
        ("مقابلة.mp3", "مقابلة.mp3"),
        ("../../etc/passwd.wav", "passwd.wav"),
        ("C:\\Users\\me\\voice.wav", "voice.wav"),
        ("a\x00b\r\nc.wav", "a b c.wav"),
        ("<script>.wav", "<script>.wav"),
        ("lone\ud800.wav", "lone.wav"),
        (".wav", "recording.wav"),
        ("", "recording"),
        ("folder/", "recording"),
        ("x" * 300 + ".wav", "x" * 251 + ".wav"),
        ("x" * 5000 + ".wav", "x" * 251 + ".wav"),
        ("a." + "w" * 300, "a." + "w" * 253),
    ],
    ids=lambda name: repr(name)[:20],
)
def test_names_for_display(name: str, shown: str) -> None:
    assert validation.display_name(name) == shown


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("My talk", "My talk.wav"),
        ("Version 2.0", "Version 2.0.wav"),
        ("other.mp3", "other.mp3"),
        (None, "talk.wav"),
    ],
)
async def test_another_name_keeps_the_extension(name: str | None, shown: str) -> None:
    file: File[bytes] = ContentFile(tone(), "talk.wav")

    assert (await validation.validate(file, name)).name == shown


async def test_many_files_at_once_are_all_validated() -> None:
    """Probes are child processes: with more at a time than cores, all would time out."""
    async with asyncio.timeout(50):
        found = await asyncio.gather(
            *(validation.validate(ContentFile(tone(), f"{n}.wav")) for n in range(8))
        )

    assert len(found) == 8
