"""The folder of the uploads: where it is, who may read it, and when uploads expire."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.test import Client, override_settings
from pytest_django import Settings

from denoise_relay.models import Job
from denoise_relay.uploads import spool
from tests.db.uploads import tus_requests as tus
from tests.db.uploads.tus_requests import TUS, WAV

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("media")]


def test_viewers_without_a_token_are_not_one_owner() -> None:
    upload = spool.create("", "a.wav", 3)
    assert spool.find("", upload.id) is None


def test_uploads_expire_and_are_deleted(client: Client) -> None:
    urls = [tus.upload_all(client), tus.create_upload(client)]
    assert spool.expire() == 0
    (spool.folder() / "README").touch()
    assert spool.expire(time.time() + 86_401) == 4
    assert tus.spool_files() == ["README"]
    for url in urls:
        assert client.head(url, headers=TUS).status_code == 404


def test_an_expired_upload_is_gone_before_it_is_deleted(client: Client, settings: Settings) -> None:
    settings.DENOISE_RELAY = {**settings.DENOISE_RELAY, "UPLOAD_EXPIRE_SECONDS": 0.001}
    url = tus.create_upload(client)
    time.sleep(0.002)
    assert len(tus.spool_files()) == 2
    assert client.head(url, headers=TUS).status_code == 404
    tus.create_upload(client)
    assert len(tus.spool_files()) <= 4


def test_prune_deletes_expired_uploads(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    tus.upload_all(client)
    for path in spool.folder().iterdir():
        os.utime(path, (1, 1))
    call_command("denoise_prune", dry_run=True)
    assert len(tus.spool_files()) == 2
    call_command("denoise_prune")
    assert tus.spool_files() == []
    assert "2 files of expired uploads" in capsys.readouterr().out


def test_the_spool_is_where_the_site_says(client: Client, tmp_path: Path) -> None:
    relay = {"BACKEND": "local", "WORKER": "external", "UPLOAD_DIR": str(tmp_path / "spool")}
    with override_settings(DENOISE_RELAY=relay):
        tus.complete(client, tus.upload_all(client))
        assert spool.folder() == tmp_path / "spool"
    with Job.objects.get().original.open() as stored:
        assert stored.read() == WAV


def test_only_the_server_may_read_the_spool(client: Client) -> None:
    tus.create_upload(client)
    assert spool.folder().stat().st_mode & 0o077 == 0
    for path in spool.folder().iterdir():
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_spool_that_is_a_link_is_refused(tmp_path: Path, media: Path) -> None:
    media.mkdir()
    (media / spool.FOLDER).symlink_to(tmp_path)
    with pytest.raises(ImproperlyConfigured, match="UPLOAD_DIR"):
        spool.create("visitor x", "a.wav", 3)
