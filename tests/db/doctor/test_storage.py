"""What the doctor says of the storage."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage
from pytest_django import Settings

from denoise_relay.doctor.run import Level
from denoise_relay.doctor.storage import storage
from tests.db.doctor.examining import committed, found, worst
from tests.db.factories import stored_job


@committed
def test_storage_that_is_well_is_left_as_it_was(media: Path) -> None:
    stored_job()
    before = sorted(media.rglob("*"))
    assert {level for level, _text in found(storage)} == {Level.OK}
    assert sorted(media.rglob("*")) == before


class ReadOnly(FileSystemStorage):
    """Root may write anywhere, so the refusal is played."""

    def _save(self, name: str, content: Any) -> str:
        raise PermissionError(13, "Permission denied", name)


class Forgetful(FileSystemStorage):
    def delete(self, name: str) -> None:
        """Say nothing, do nothing."""


@committed
@pytest.mark.parametrize(
    ("kind", "level", "words"),
    [
        (ReadOnly, Level.FAIL, "A file cannot be written to"),
        (Forgetful, Level.WARN, "did not delete a file"),
    ],
)
def test_storage_without_rights(
    kind: type[FileSystemStorage],
    level: Level,
    words: str,
    tmp_path: Path,
    settings: Settings,
) -> None:
    own = {
        "BACKEND": f"{kind.__module__}.{kind.__qualname__}",
        "OPTIONS": {"location": str(tmp_path)},
    }
    settings.STORAGES = {**settings.STORAGES, "denoise_relay": own}
    bad = worst(storage)
    assert bad.level is level
    assert words in bad.text


@committed
@pytest.mark.parametrize(("uploads", "level"), [(0.5, Level.FAIL), (5, Level.WARN)])
def test_disk_that_is_nearly_full(
    uploads: float, level: Level, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = int(uploads * 200 * 1024 * 1024)

    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: Usage)
    said = found(storage)
    assert [said for said, text in said if "GiB free" in text] == [level, level]


@committed
def test_recordings_that_are_not_there(media: Path) -> None:
    job = stored_job()
    Path(job.original.path).unlink()
    assert worst(storage).text == "1 of the 1 newest recordings are not in the storage."
