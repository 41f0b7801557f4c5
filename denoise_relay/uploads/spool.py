"""The spool: files that arrive in parts, until they are whole. Blocking code, no protocol.

One upload is two files in one folder: `<id>.part`, whose length *is* the offset, so that
a dying server loses at most the part it was reading, and `<id>.json`, what was announced.
All web processes of a machine share the folder; several machines need a shared disk.

The second half of an id is the id of the job that the upload becomes. So the job's row says
whether it has become one, after any crash, and no upload can become two.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, BinaryIO

from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import FileSystemStorage
from django.core.files.uploadedfile import UploadedFile

from denoise_relay.conf import relay_settings
from denoise_relay.exceptions import RelayError
from denoise_relay.models import media_storage

FOLDER = ".denoise-uploads"
OPEN_UPLOADS = 20
"""Unfinished uploads of one visitor; more are refused until some finish or expire."""
SPARE_BYTES = 256 * 1024 * 1024
"""What an announced upload must leave free on the disk: databases die of a full one."""
COPY_BYTES = 256 * 1024
_ID = re.compile(r"[0-9a-f]{16}-(?P<job>[0-9a-f]{32})")
_OURS = re.compile(rf"{_ID.pattern}\.(?P<kind>part|json|storing|[0-9a-f]{{8}}\.draft)")


class UploadBusy(RelayError):
    """Another request is writing to this upload."""


class TooManyUploads(RelayError):
    """This visitor has too many unfinished uploads."""


class NoSpace(RelayError):
    """The disk has no room for this upload."""


class WrongOffset(RelayError):
    """The part does not continue where the upload stands; `offset` is where that is."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"The upload stands at byte {offset}.")
        self.offset = offset


@dataclass(frozen=True, kw_only=True, slots=True)
class Pending:
    """An upload that has been announced."""

    id: str
    name: str
    length: int
    #: Seconds since the epoch, after which it is deleted.
    expires: float
    #: `Upload-Metadata` as it was sent, which HEAD must repeat.
    metadata: str = ""
    #: Bytes that have arrived.
    offset: int = 0

    @property
    def whole(self) -> bool:
        return self.offset == self.length


def folder() -> Path:
    """`UPLOAD_DIR`, or beside the recordings, where a finished file is renamed, not copied.

    Raises `ImproperlyConfigured` where somebody else has made it.
    """
    named = relay_settings().UPLOAD_DIR
    storage = media_storage()
    if named:
        path = Path(named)
    elif isinstance(storage, FileSystemStorage):
        path = Path(storage.location) / FOLDER
    else:
        path = Path(tempfile.gettempdir()) / f"{FOLDER}-{os.geteuid()}"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    # In a folder that all may write to, a name may have been taken, by a link, say.
    if not named and (path.is_symlink() or path.stat().st_uid != os.geteuid()):
        raise ImproperlyConfigured(f"{path} is not ours: set UPLOAD_DIR to a folder that is.")
    return path


def job_id(upload_id: str) -> uuid.UUID | None:
    """The id of the job that an upload becomes; None for what is no id of an upload."""
    found = _ID.fullmatch(upload_id)
    return uuid.UUID(found["job"]) if found else None


def create(owner: str, name: str, length: int, metadata: str = "") -> Pending:
    """Announce an upload of `length` bytes; `owner` is whoever alone may go on with it.

    Raises `TooManyUploads`, `NoSpace`. Expired uploads of anybody are deleted first.
    """
    expire()
    where = folder()
    mark = _mark(owner)
    if sum(1 for _ in where.glob(f"{mark}-*.part")) >= OPEN_UPLOADS:
        raise TooManyUploads
    if shutil.disk_usage(where).free < length + SPARE_BYTES:
        raise NoSpace
    pending = Pending(
        # The second half is secret until its owner tells: nobody can take the job's id.
        id=f"{mark}-{uuid.UUID(bytes=secrets.token_bytes(16), version=4).hex}",
        name=name,
        length=length,
        expires=time.time() + relay_settings().UPLOAD_EXPIRE_SECONDS,
        metadata=metadata,
    )
    # The part first: a note without its part would be an upload that cannot go on.
    _part(pending.id).touch(mode=0o600, exist_ok=False)
    _write_note(pending)
    return pending


def find(owner: str, upload_id: str) -> Pending | None:
    """The owner's upload, or None: unknown, somebody else's, expired, or ended."""
    # An empty owner is a stranger: two of them are not one.
    if not owner or not _ID.fullmatch(upload_id) or not upload_id.startswith(_mark(owner)):
        return None
    try:
        pending = Pending(**json.loads(_note(upload_id).read_text()))
        pending = replace(pending, offset=_part(upload_id).stat().st_size)
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return pending if pending.expires > time.time() else None


def append(pending: Pending, offset: int, content: IO[bytes], limit: int) -> int:
    """Add at most `limit` bytes at `offset`; return the new offset.

    What goes past the announced length is not written. Raises `UploadBusy`, `WrongOffset`,
    and `FileNotFoundError` when it has ended. Not synced to disk: a dead process loses
    nothing of what was written, and after a dead machine the client asks where it stands.
    """
    with _locked(pending) as part:
        stands = part.seek(0, os.SEEK_END)
        if stands != offset:
            raise WrongOffset(stands)
        left = min(limit, pending.length - stands)
        while left > 0 and (chunk := content.read(min(left, COPY_BYTES))):
            part.write(chunk)
            left -= len(chunk)
        part.flush()
        return part.tell()


@contextlib.contextmanager
def finishing(pending: Pending) -> Iterator[UploadedFile[bytes]]:
    """The whole file, to be stored once; locked, so that one request at a time tries.

    Storing it takes a second name of the file away, never the first: until the job is
    committed, a crash leaves an upload that can be finished again. Raises `UploadBusy`, and
    `FileNotFoundError` when it has ended.
    """
    with _locked(pending) as part:
        taken = _part(pending.id).with_suffix(".storing")
        taken.unlink(missing_ok=True)
        try:
            os.link(_part(pending.id), taken)
        except OSError:
            # A disk without hard links: a crash now costs the client another upload.
            taken = _part(pending.id)
        try:
            yield _Spooled(part, pending, taken)
        finally:
            if taken.suffix == ".storing":
                taken.unlink(missing_ok=True)


def discard(pending: Pending) -> None:
    """Forget an upload and free its file."""
    _part(pending.id).unlink(missing_ok=True)
    _note(pending.id).unlink(missing_ok=True)


def expire(now: float | None = None) -> int:
    """Delete uploads whose time is up, and what dying processes left; return how many files.

    `now` is in seconds since the epoch. Whatever else lies in the folder is left alone.
    """
    moment = time.time() if now is None else now
    lifetime = relay_settings().UPLOAD_EXPIRE_SECONDS
    gone = 0
    for path in folder().iterdir():
        if not _OURS.fullmatch(path.name):
            continue
        with contextlib.suppress(FileNotFoundError):
            # A note is as old as its upload; a part is younger, and goes a little later.
            if path.stat().st_mtime + lifetime < moment:
                path.unlink()
                gone += 1
    return gone


class _Spooled(UploadedFile):  # type: ignore[type-arg]  # not generic at run time
    """Lies on disk under a path of its own, which storages rename instead of copying."""

    def __init__(self, part: BinaryIO, pending: Pending, path: Path) -> None:
        super().__init__(part, name=pending.name, size=pending.length)
        self._path = path

    def temporary_file_path(self) -> str:
        return str(self._path)


@contextlib.contextmanager
def _locked(pending: Pending) -> Iterator[BinaryIO]:
    """The part file, for one request at a time, over all processes. The kernel frees the
    lock of a process that dies."""
    with _part(pending.id).open("r+b") as part:
        try:
            fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UploadBusy from error
        # Between opening and locking, another request may have ended the upload.
        if os.fstat(part.fileno()).st_nlink == 0 or not _part(pending.id).exists():
            raise FileNotFoundError(pending.id)
        yield part


def _mark(owner: str) -> str:
    """Names the owner in file names without telling who that is."""
    return hashlib.sha256(owner.encode()).hexdigest()[:16]


def _part(upload_id: str) -> Path:
    return folder() / f"{upload_id}.part"


def _note(upload_id: str) -> Path:
    return folder() / f"{upload_id}.json"


def _write_note(pending: Pending) -> None:
    """Whole or not at all: it is written to a name of its own and then renamed."""
    draft = folder() / f"{pending.id}.{secrets.token_hex(4)}.draft"
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(asdict(pending)))
    draft.replace(_note(pending.id))
