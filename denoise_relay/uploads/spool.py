"""Resumable uploads on disk, until each is complete. Blocking code, no protocol.

An upload is two files: `<id>.part` has the bytes that have arrived, so its length is the offset
and a dying server loses at most the part that it was reading; `<id>.json` has what the client
declared. The second half of the id is the id of the job that the upload becomes, so after any
crash the job's row tells whether it has become one, and it cannot become two.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import secrets
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import BinaryIO, Literal

from django.core.files.uploadedfile import UploadedFile

from denoise_relay.conf import relay_settings
from denoise_relay.exceptions import RelayError
from denoise_relay.media.storage import MovableFile
from denoise_relay.runtime import disk

#: Name of the default folder.
FOLDER = ".denoise-uploads"
#: Unfinished uploads of one owner; more are refused until some finish or expire.
OPEN_UPLOADS = 20
#: Bytes that are copied from a request at a time.
COPY_BYTES = 256 * 1024
_ID = re.compile(r"[0-9a-f]{16}-(?P<job>[0-9a-f]{32})")
_SPOOL_FILE = re.compile(rf"{_ID.pattern}\.(?:part|json|storing|[0-9a-f]{{8}}\.draft)")


class UploadLocked(RelayError):
    """Another request is writing to this upload."""


class TooManyUploads(RelayError):
    """This owner has too many unfinished uploads."""


class WrongOffset(RelayError):
    """The part does not begin where the upload ends; `offset` is where it ends."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"The upload ends at byte {offset}.")
        self.offset = offset


@dataclass(frozen=True, kw_only=True, slots=True)
class ResumableUpload:
    """An upload that was created, as it was when it was read. The fields are kept as JSON."""

    id: str
    name: str
    #: Bytes of the complete file.
    length: int
    #: Seconds since the epoch, after which it is deleted.
    expires: float
    #: `Upload-Metadata` as it was sent, which HEAD must repeat.
    metadata: str = ""
    #: Bytes that have arrived.
    offset: int = 0

    @property
    def complete(self) -> bool:
        return self.offset == self.length


def folder() -> Path:
    """`UPLOAD_DIR`, or a folder beside the recordings. All web processes must share it.

    Raises `ImproperlyConfigured` for another user's folder.
    """
    return disk.folder_beside_recordings(FOLDER, relay_settings().UPLOAD_DIR, "UPLOAD_DIR")


def job_id(upload_id: str) -> uuid.UUID | None:
    """The id of the job that an upload becomes; None if this is not the id of an upload."""
    found = _ID.fullmatch(upload_id)
    return uuid.UUID(found["job"]) if found else None


def create(owner: str, name: str, length: int, metadata: str = "") -> ResumableUpload:
    """Create an upload of `length` bytes, which only `owner` (`access.upload_owner`) may continue.

    Deletes expired uploads first, of any owner. Raises `TooManyUploads`, and `OSError` with
    `ENOSPC` when the disk has no room for the file.
    """
    expire()
    where = folder()
    prefix = _owner_hash(owner)
    if sum(1 for _ in where.glob(f"{prefix}-*.part")) >= OPEN_UPLOADS:
        raise TooManyUploads
    disk.require_room(where, length + _announced(where))
    upload = ResumableUpload(
        # Only the owner knows the second half, so nobody else can take the job's id.
        id=f"{prefix}-{uuid.UUID(bytes=secrets.token_bytes(16), version=4).hex}",
        name=name,
        length=length,
        expires=time.time() + relay_settings().UPLOAD_EXPIRE_SECONDS,
        metadata=metadata,
    )
    # The part file first: a JSON file without one would be an upload that cannot continue.
    _path(upload.id, "part").touch(mode=0o600, exist_ok=False)
    # Written under another name and then renamed, so that the file appears complete.
    draft = where / f"{upload.id}.{secrets.token_hex(4)}.draft"
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(asdict(upload)))
    draft.replace(_path(upload.id, "json"))
    return upload


def find(owner: str, upload_id: str) -> ResumableUpload | None:
    """The owner's upload; None if it is unknown, somebody else's, expired or finished."""
    # "" stands for any anonymous viewer without a token: these are not one owner.
    if not owner or not _ID.fullmatch(upload_id) or not upload_id.startswith(_owner_hash(owner)):
        return None
    try:
        upload = ResumableUpload(**json.loads(_path(upload_id, "json").read_text()))
        upload = replace(upload, offset=_path(upload_id, "part").stat().st_size)
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return upload if upload.expires > time.time() else None


def append(upload: ResumableUpload, offset: int, read: Callable[[int], bytes], limit: int) -> int:
    """Add at most `limit` bytes from `read` at `offset`; return the new offset.

    Bytes beyond the declared length are not written. Raises `UploadLocked`, `WrongOffset`,
    `FileNotFoundError` when the upload has ended, and `OSError` when the disk is full. The file is
    not synced to disk: a dead process loses no written byte, and after a power failure the client
    asks for the offset.
    """
    # Announced bytes were counted, but others may have filled the disk since.
    disk.require_room(folder(), min(limit, upload.length - offset))
    with _locked(upload) as part:
        end = part.seek(0, os.SEEK_END)
        if end != offset:
            raise WrongOffset(end)
        left = min(limit, upload.length - end)
        while left > 0 and (chunk := read(min(left, COPY_BYTES))):
            part.write(chunk)
            left -= len(chunk)
        part.flush()
        return part.tell()


@contextlib.contextmanager
def complete_file(upload: ResumableUpload) -> Iterator[UploadedFile[bytes]]:
    """The complete file, to be stored, for one request at a time.

    A storage may rename the file away. It gets a hard link for that: if the process dies before
    the job is committed, the part file is still there and the upload can be finished again.
    Raises `UploadLocked`, and `FileNotFoundError` when the upload has ended.
    """
    with _locked(upload) as part:
        path = _path(upload.id, "part")
        link = path.with_suffix(".storing")
        link.unlink(missing_ok=True)
        # On a disk without hard links, a crash now costs the client another upload.
        with contextlib.suppress(OSError):
            os.link(path, link)
        # A storage that renames keeps the file's time, and the bytes may be older than
        # `retention.ORPHAN_AGE`: the file would count as an orphan before its row is committed.
        os.utime(path)
        try:
            here = link if link.exists() else path
            yield MovableFile(part, here, name=upload.name)
        finally:
            link.unlink(missing_ok=True)


def discard(upload: ResumableUpload) -> None:
    """Delete an upload. May be repeated."""
    _path(upload.id, "part").unlink(missing_ok=True)
    _path(upload.id, "json").unlink(missing_ok=True)


def expire(now: float | None = None) -> int:
    """Delete expired uploads, and files that dead processes left; return the number of files.

    `now` is in seconds since the epoch. Other files in the folder are left alone.
    """
    oldest = (time.time() if now is None else now) - relay_settings().UPLOAD_EXPIRE_SECONDS
    deleted = 0
    for path in folder().iterdir():
        if not _SPOOL_FILE.fullmatch(path.name):
            continue
        with contextlib.suppress(FileNotFoundError):
            # The JSON file is as old as its upload; the part file is younger and goes later.
            if path.stat().st_mtime < oldest:
                path.unlink()
                deleted += 1
    return deleted


def _announced(where: Path) -> int:
    """Bytes of unfinished uploads that have been accepted and are still to come."""
    missing = 0
    for path in where.glob("*.json"):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            arrived = path.with_suffix(".part").stat().st_size
            missing += json.loads(path.read_text())["length"] - arrived
    return missing


@contextlib.contextmanager
def _locked(upload: ResumableUpload) -> Iterator[BinaryIO]:
    """The part file, locked against other requests. The kernel unlocks it if the process dies."""
    with _path(upload.id, "part").open("r+b") as part:
        try:
            fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UploadLocked from error
        # Between opening and locking, another request may have ended the upload.
        if os.fstat(part.fileno()).st_nlink == 0 or not _path(upload.id, "part").exists():
            raise FileNotFoundError(upload.id)
        yield part


def _owner_hash(owner: str) -> str:
    """Stands for the owner in file names, which must not reveal who that is."""
    return hashlib.sha256(owner.encode()).hexdigest()[:16]


def _path(upload_id: str, kind: Literal["part", "json"]) -> Path:
    return folder() / f"{upload_id}.{kind}"
