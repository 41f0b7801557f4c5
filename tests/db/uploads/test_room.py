"""Uploads are accepted only where the disk has room for all that was announced."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.test import Client

from denoise_relay.jobs import retention
from denoise_relay.models import Job
from denoise_relay.runtime import disk
from denoise_relay.uploads import spool
from tests.db.uploads import tus_requests as tus
from tests.db.uploads.tus_requests import HALF, WAV

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("media")]

MB = 1024 * 1024


def free(monkeypatch: pytest.MonkeyPatch, size_bytes: int) -> None:
    """So much beyond what stays free always."""
    usage = SimpleNamespace(free=disk.SPARE_BYTES + size_bytes)
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: usage)


def test_what_was_announced_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, 500 * MB)
    first = spool.create("ada", "a.wav", 200 * MB)
    spool.create("bob", "b.wav", 200 * MB)
    with pytest.raises(OSError, match="No space left") as refused:
        spool.create("eve", "c.wav", 200 * MB)
    assert refused.value.errno == errno.ENOSPC

    spool.discard(first)
    spool.create("eve", "c.wav", 200 * MB)


def test_what_has_arrived_counts_no_more(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    tus.patch(client, tus.create_upload(client), 0, WAV[:HALF])
    free(monkeypatch, 2 * len(WAV) - HALF)
    spool.create("bob", "b.wav", len(WAV))


def test_a_disk_that_others_fill_stops_a_part(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = tus.create_upload(client)
    with monkeypatch.context() as full:
        free(full, len(WAV) - 1)
        assert tus.patch(client, url, 0, WAV).status_code == 507
    assert tus.offset_of(client, url) == 0
    assert tus.patch(client, url, 0, WAV).status_code == 204


def test_a_file_that_took_days_to_come_is_young_when_it_is_stored(client: Client) -> None:
    """Else the sweep of orphans could delete it before its job is committed."""
    url = tus.upload_all(client)
    (part,) = spool.folder().glob("*.part")
    os.utime(part, (1, 1))
    assert tus.complete(client, url).status_code == 201
    stored = Path(Job.objects.get().original.path)
    assert not retention._is_old(
        Job.objects.get().original.storage, Job.objects.get().original.name
    )
    assert stored.stat().st_mtime > 1
