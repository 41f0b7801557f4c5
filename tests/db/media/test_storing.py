"""How files come into the storage: renamed where that is possible, and on the disk at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from django.core.files.base import ContentFile

from denoise_relay.conf import RelaySettings
from denoise_relay.media import storage
from denoise_relay.models import Job, media_storage
from denoise_relay.worker import workspace

pytestmark = pytest.mark.usefixtures("media")


def test_a_result_is_renamed_and_may_be_stored_again() -> None:
    with workspace.new_folder(RelaySettings()) as folder:
        result = Path(folder) / "result.flac"
        result.write_bytes(b"clean")
        first, second = (
            Path(media_storage().path(storage.store_result(Job(), result))) for _ in "12"
        )
        assert first != second
        assert {path.stat().st_ino for path in (result, first, second)} == {result.stat().st_ino}
        assert [path.name for path in Path(folder).iterdir()] == ["result.flac"]
    assert first.read_bytes() == b"clean"


def test_what_is_stored_is_on_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []

    def fsync(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(os, "fsync", fsync)
    path = Path(media_storage().path(storage.store(Job(), "a.wav", ContentFile(b"RIFF"))))
    assert synced == [path.stat().st_ino, path.parent.stat().st_ino]


def test_workspaces_of_killed_processes_go(tmp_path: Path) -> None:
    settings = RelaySettings(WORK_DIR=str(tmp_path), JOB_DEADLINE_SECONDS=60)
    with workspace.new_folder(settings) as young:
        old = tmp_path / "run-old"
        other = tmp_path / "notes"
        for path in (old, other):
            path.mkdir()
            (path / "result.flac").write_bytes(b"x")
            os.utime(path, (1, 1))
        workspace.delete_abandoned(settings)
        assert sorted(tmp_path.iterdir()) == sorted([other, Path(young)])
