"""The storage: can files be written, read and deleted, and is there room for more?"""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, Storage
from django.db import DatabaseError

from denoise_relay.conf import relay_settings
from denoise_relay.doctor.run import Finding, blocking, fail, ok, warn
from denoise_relay.models import Job, media_storage

REMEDY = "Is the storage (STORAGES, MEDIA_ROOT) there, and may we write to it?"
GIB = 1024**3
#: Free space that is enough, in multiples of the largest upload.
COMFORTABLE = 10
SAMPLE_JOBS = 20


def _findings() -> Iterator[Finding]:
    """Store and delete a few bytes; check the free space; check that recordings are there."""
    used = media_storage()
    yield _round_trip(used)
    if isinstance(used, FileSystemStorage):
        yield _room("The storage", Path(used.location))
    yield _room("The folder for uploads under way", Path(tempfile.gettempdir()))
    yield from _missing(used)


def _round_trip(used: Storage) -> Finding:
    where = used.location if isinstance(used, FileSystemStorage) else type(used).__name__
    content = secrets.token_bytes(64)
    step = "written to"
    name = ""
    try:
        name = used.save(f"denoise/doctor-{secrets.token_hex(8)}.bin", ContentFile(content))
        step = "read from"
        with used.open(name) as file:
            if file.read() != content:
                return fail(f"{where} gives back other bytes than it got.", "Check the disk.")
        step = "deleted from"
        used.delete(name)
        if used.exists(name):
            return warn(
                f"{where} did not delete a file.", "Without that right, denoise_prune is no use."
            )
    except Exception as error:  # noqa: BLE001 - storages raise whatever their client raises
        return fail(
            f"A file cannot be {step} {where} ({type(error).__name__}: {error}).",
            "Give the user who runs this the right to do that, or point MEDIA_ROOT elsewhere."
            + (f" Delete {name} by hand." if name else ""),
        )
    return ok(f"Files can be written to, read from and deleted from {where}.")


def _room(what: str, folder: Path) -> Finding:
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    largest = relay_settings().MAX_UPLOAD_BYTES
    text = f"{what} has {free / GIB:.1f} GiB free."
    if free >= COMFORTABLE * largest:
        return ok(text)
    remedy = "Make room: a larger disk, RETENTION_DAYS and a daily `manage.py denoise_prune`."
    return (fail if free < largest else warn)(text, remedy)


def _missing(used: Storage) -> Iterator[Finding]:
    """Look for the newest recordings: processes with different storages are a common mistake."""
    try:
        newest = list(Job.objects.order_by("-created_at", "-id")[:SAMPLE_JOBS])
    except DatabaseError:
        return  # the diagnosis of the database reports it
    names = [name for job in newest for name in (job.original.name, job.result.name) if name]
    gone = [name for name in names if not used.exists(name)]
    if gone:
        yield fail(
            f"{len(gone)} of the {len(names)} newest recordings are not in the storage.",
            "All processes need the same storage: the same MEDIA_ROOT on one machine, or a "
            "shared or remote one (STORAGES) on several.",
        )


storage = blocking(_findings, REMEDY)
