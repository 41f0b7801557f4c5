"""Deletes old jobs with their events and files, and orphaned files. Blocking code.

Only ended jobs, in small transactions, so that the journal writer or an upload waits for
milliseconds at most. Rows are deleted first and files after the commit: a crash in between
leaves files without a row, never a row without its files, and `prune_orphans` deletes those.
"""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from django.core.files.storage import FileSystemStorage, Storage
from django.db import connections, router
from django.db.models import Q, QuerySet
from django.utils import timezone

from denoise_relay.jobs import dependants
from denoise_relay.lifecycle import TERMINAL
from denoise_relay.models import Job, Part, media_storage
from denoise_relay.runtime import logs
from denoise_relay.runtime.database import write_transaction

#: Jobs that one transaction deletes at most.
JOBS_AT_A_TIME = 100
#: Events that one transaction deletes at most; a single job may have more.
EVENTS_AT_A_TIME = 5000
#: Younger files are never orphans: a file is stored shortly before the row that names it.
ORPHAN_AGE = timedelta(days=1)
#: Folder of the recordings in the storage.
ROOT = "denoise"
#: The columns of a job that name files in the storage.
FILES = ("original", "whole", "sent", "result")
# Names that `models.media_name` makes. Other files in the folder are left alone.
_FOLDER = re.compile(r"[0-9a-f]{32}")
_FILE = re.compile(r"(?P<job>[0-9a-f]{32})\.[a-z0-9]{1,10}(?:_[A-Za-z0-9]{7})?")


#: `orphans` are files that no job names, `shared` files of deleted jobs that a retry still uses,
#: `failed` files that the storage did not delete: the next run tries again.
Counted = Literal["jobs", "events", "files", "orphans", "shared", "failed"]
#: What has been deleted so far; in a dry run, what would have been deleted.
Tally = Counter[Counted]
#: Called with the tally after each batch.
Progress = Callable[[Tally], None]


def prune_jobs(tally: Tally, *, days: int, dry_run: bool, progress: Progress) -> None:
    """Delete jobs that ended more than `days` days ago (at least 1), with events and files.

    May be interrupted and repeated, and run at the same time as workers and other prunes.
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
                dependants.delete_rows(alias, pks)
                Job.objects.using(alias).filter(pk__in=pks).delete()
        last = (batch[-1].created_at, batch[-1].pk)
        tally["jobs"] += len(batch)
        tally["events"] += sum(job.seq for job in batch)
        tally["shared"] += len(shared)
        delete_files(files, tally, "files", dry_run=dry_run)
        progress(tally)


def prune_orphans(tally: Tally, *, dry_run: bool, progress: Progress) -> bool:
    """Delete files under `denoise/` that no row names and that are older than `ORPHAN_AGE`.

    A process leaves such files if it dies between storing a file and committing its row.
    Returns False if the storage cannot list its files or tell their age. May be repeated.
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
        # Jobs are read after the listing, so that the row of each listed file can be seen.
        unnamed = _unnamed(listed)
        try:
            old = [name for name in unnamed if _is_old(storage, name)]
        except NotImplementedError:
            return False
        delete_files(old, tally, "orphans", dry_run=dry_run)
        progress(tally)
    return True


def _next_batch(alias: str, before: datetime, last: tuple[datetime, UUID] | None) -> list[Job]:
    """The next oldest ended jobs, locked, with as many events as one transaction may delete."""
    query: QuerySet[Job] = (
        Job.objects.using(alias)
        # Jobs are created before they finish. This bound lets the index on `created_at` be used.
        .filter(status__in=sorted(TERMINAL), finished_at__lt=before, created_at__lt=before)
        .only("pk", "created_at", "seq", *FILES)
        .order_by("created_at", "id")
    )
    if last is not None:
        at, pk = last
        query = query.filter(Q(created_at__gt=at) | Q(created_at=at, pk__gt=pk))
    if connections[alias].features.has_select_for_update_skip_locked:
        # Locked before `_files` reads: a retry that is being inserted refers to its job
        # (`retry_of`), so either `_files` sees it, or its insert fails because the job is gone.
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
    names = {name for job in batch for column in FILES if (name := getattr(job, column).name)}
    # A retry uses the original of its job, which may have been deleted long ago, and the job of a
    # whole recording that of the excerpt's `whole`.
    pks = [job.pk for job in batch]
    others = Job.objects.using(alias).exclude(pk__in=pks)
    shared = named_files(others, names) & names
    return sorted((names - shared) | dependants.derived_files(alias, pks)), shared


def _unnamed(listed: dict[str, UUID]) -> list[str]:
    """Those of the listed files that no row names."""
    alias = router.db_for_write(Job)
    named = dependants.derived_files(alias, set(listed.values()))
    # First by the job's id in the name, with an index. Orphans and files of retries are left.
    own = Job.objects.using(alias).filter(pk__in=set(listed.values()))
    for row in own.values_list(*FILES):
        named.update(row)
    rest = sorted(listed.keys() - named)
    if rest:
        named |= named_files(Job.objects.using(alias), rest)
        # Of a job that has ended, they are of no use.
        parts = Part.objects.using(alias).filter(result__in=rest, job__finished_at=None)
        named.update(parts.values_list("result", flat=True))
    return [name for name in rest if name not in named]


def named_files(jobs: QuerySet[Job], names: Collection[str]) -> set[str]:
    """All files of those jobs that name one of these."""
    which = Q()
    for column in FILES:
        which |= Q(**{f"{column}__in": names})
    return {name for row in jobs.filter(which).values_list(*FILES) for name in row}


def _is_old(storage: Storage, name: str) -> bool:
    try:
        modified = storage.get_modified_time(name)
    except FileNotFoundError:
        return False  # another process has deleted it
    now = timezone.now() if timezone.is_aware(modified) else timezone.make_naive(timezone.now())
    return now - modified > ORPHAN_AGE


def delete_files(names: Iterable[str], tally: Tally, counted: Counted, *, dry_run: bool) -> None:
    """Delete files of the storage, with the folders made for them. A failure is logged."""
    storage = media_storage()
    for name in names:
        try:
            if not dry_run:
                storage.delete(name)
                _delete_folder(storage, name)
        except Exception as error:  # noqa: BLE001 - storages raise whatever their client raises
            # Go on with the other files; this one is an orphan now and is tried again.
            tally["failed"] += 1
            logs.logger.warning(
                "The storage did not delete %s: %s",
                name,
                type(error).__name__,
                extra=logs.fields("delete_failed", file=name, error=repr(error)),
            )
        else:
            tally[counted] += 1


def _delete_folder(storage: Storage, name: str) -> None:
    """Delete the folder that `media_name` made for this file, if it is empty."""
    folder = name.rpartition("/")[0]
    if isinstance(storage, FileSystemStorage) and _FOLDER.fullmatch(folder.rpartition("/")[2]):
        with contextlib.suppress(OSError):
            storage.delete(folder)
