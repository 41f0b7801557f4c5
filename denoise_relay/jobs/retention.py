"""Retention: what is old enough goes, with its events and files. Blocking code.

Ended jobs only, in small transactions, so that a recorder or an upload beside it waits for
milliseconds. Rows go first and files after the commit: a crash in between leaves files that
no row names, never rows that name no file, and the sweep for orphans finds those later.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.core.files.storage import FileSystemStorage, Storage
from django.db import connections, router
from django.db.models import Q, QuerySet
from django.utils import timezone

from denoise_relay.lifecycle import TERMINAL
from denoise_relay.models import Event, Job, media_storage
from denoise_relay.runtime import logs
from denoise_relay.runtime.database import write_transaction

JOBS_AT_A_TIME = 100
EVENTS_AT_A_TIME = 5000
"""Of one transaction; a single job with more is one all the same."""
ORPHAN_AGE = timedelta(days=1)
"""Files are stored a moment before the row that names them; this is a very long moment."""
ROOT = "denoise"
# As `models.media_name` makes them. Whatever else lies there is none of our business.
_FOLDER = re.compile(r"[0-9a-f]{32}")
_FILE = re.compile(r"(?P<job>[0-9a-f]{32})\.[a-z0-9]{1,10}(?:_[A-Za-z0-9]{7})?")


@dataclass(kw_only=True, slots=True)
class Tally:
    """What has been deleted so far; in a dry run, what would be."""

    jobs: int = 0
    events: int = 0
    files: int = 0
    #: Files of deleted jobs that a retry still needs.
    shared: int = 0
    orphans: int = 0
    #: Files that the storage did not delete; the next run tries again.
    failed: int = 0


Progress = Callable[[Tally], None]


def prune_jobs(tally: Tally, *, days: int, dry_run: bool, progress: Progress) -> None:
    """Delete jobs that ended more than `days` days ago (at least 1), with events and files.

    May be interrupted and repeated, and run beside workers and other prunes.
    """
    if days < 1:
        raise ValueError(f"days must be at least 1, not {days}")
    before = timezone.now() - timedelta(days=days)
    last: tuple[datetime, UUID] | None = None
    while True:
        with write_transaction() as alias:
            batch = _next_batch(alias, before, last)
            if not batch:
                return
            files, shared = _files(alias, batch)
            if not dry_run:
                pks = [job.pk for job in batch]
                # Events first and by themselves: `Job.delete` would fetch what it cascades to.
                Event.objects.using(alias).filter(job__in=pks).delete()
                Job.objects.using(alias).filter(pk__in=pks).delete()
        last = (batch[-1].created_at, batch[-1].pk)
        tally.jobs += len(batch)
        tally.events += sum(job.seq for job in batch)
        tally.shared += len(shared)
        _delete(files, tally, dry_run=dry_run)
        progress(tally)


def prune_orphans(tally: Tally, *, dry_run: bool, progress: Progress) -> bool:
    """Delete files under `denoise/` that no job names and that are older than `ORPHAN_AGE`:
    what a process left that died between storing a file and committing its row.

    False where the storage cannot list its files or tell their age.
    """
    storage = media_storage()
    try:
        folders = storage.listdir(ROOT)[0]
    except FileNotFoundError:
        return True  # nothing has been stored yet
    except NotImplementedError:
        return False
    ours = sorted(folder for folder in folders if _FOLDER.fullmatch(folder))
    for start in range(0, len(ours), JOBS_AT_A_TIME):
        listed = {
            f"{ROOT}/{folder}/{name}": UUID(found["job"])
            for folder in ours[start : start + JOBS_AT_A_TIME]
            for name in storage.listdir(f"{ROOT}/{folder}")[1]
            if (found := _FILE.fullmatch(name))
        }
        # Asked after the listing: a file that is new since then is not in it.
        unnamed = _unnamed(listed)
        try:
            old = [name for name in unnamed if _is_old(storage, name)]
        except NotImplementedError:
            return False
        before = tally.files
        _delete(old, tally, dry_run=dry_run)
        tally.orphans += tally.files - before
        tally.files = before
        progress(tally)
    return True


def _next_batch(alias: str, before: datetime, last: tuple[datetime, UUID] | None) -> list[Job]:
    """The next oldest ended jobs, locked, with as many events as one transaction may hold."""
    query: QuerySet[Job] = (
        Job.objects.using(alias)
        # No job was created after it finished: a bound that the index on `created_at` knows.
        .filter(status__in=sorted(TERMINAL), finished_at__lt=before, created_at__lt=before)
        .only("pk", "created_at", "seq", "original", "result")
        .order_by("created_at", "id")
    )
    if last is not None:
        at, pk = last
        query = query.filter(Q(created_at__gt=at) | Q(created_at=at, pk__gt=pk))
    if connections[alias].features.has_select_for_update_skip_locked:
        # Locked before `_files` looks: a retry that is being inserted refers to its job
        # (`retry_of`), so it either is visible there, or fails because the job is gone.
        query = query.select_for_update(skip_locked=True)
    batch: list[Job] = []
    events = 0
    for job in query[:JOBS_AT_A_TIME]:
        events += job.seq
        if batch and events > EVENTS_AT_A_TIME:
            break
        batch.append(job)
    return batch


def _files(alias: str, batch: Iterable[Job]) -> tuple[list[str], set[str]]:
    """The files that only these jobs name, and those that other jobs name too."""
    names = {name for job in batch for name in (job.original.name, job.result.name) if name}
    # A retry uses its job's original; the one that uploaded it may be long gone.
    others = Job.objects.using(alias).exclude(pk__in=[job.pk for job in batch])
    shared = set(others.filter(original__in=names).values_list("original", flat=True))
    return sorted(names - shared), shared


def _unnamed(listed: dict[str, UUID]) -> list[str]:
    """Those of the listed files that no job names."""
    alias = router.db_for_write(Job)
    named: set[str] = set()
    # By the job in the name, which an index finds; that leaves orphans and old retries.
    own = Job.objects.using(alias).filter(pk__in=set(listed.values()))
    for pair in own.values_list("original", "result"):
        named.update(pair)
    rest = sorted(listed.keys() - named)
    if rest:
        others = Job.objects.using(alias).filter(Q(original__in=rest) | Q(result__in=rest))
        for pair in others.values_list("original", "result"):
            named.update(pair)
    return [name for name in rest if name not in named]


def _is_old(storage: Storage, name: str) -> bool:
    try:
        modified = storage.get_modified_time(name)
    except FileNotFoundError:
        return False  # somebody else deleted it
    now = timezone.now() if timezone.is_aware(modified) else timezone.make_naive(timezone.now())
    return now - modified > ORPHAN_AGE


def _delete(names: Iterable[str], tally: Tally, *, dry_run: bool) -> None:
    storage = media_storage()
    for name in names:
        try:
            if not dry_run:
                storage.delete(name)
                _delete_folder(storage, name)
        except Exception as error:  # noqa: BLE001 - storages raise whatever their client raises
            # One file must not keep the others; as an orphan it is tried again.
            tally.failed += 1
            logs.logger.warning(
                "The storage did not delete %s: %s",
                name,
                type(error).__name__,
                extra=logs.fields("delete_failed", file=name, error=repr(error)),
            )
        else:
            tally.files += 1


def _delete_folder(storage: Storage, name: str) -> None:
    """Delete the folder that `media_name` made for this file, if it is empty now."""
    folder = name.rpartition("/")[0]
    if isinstance(storage, FileSystemStorage) and _FOLDER.fullmatch(folder.rpartition("/")[2]):
        with contextlib.suppress(OSError):
            storage.delete(folder)
