"""Deletes jobs because somebody wants it: one, or all of a user who is deleted. Blocking code.

Rows go in one transaction, which also cancels what runs: viewers get the last event of the job,
and the runner, which is fenced off, stops at its next write or renewal. Files go after the
commit, but for those that another job names; after a crash in between `denoise_prune` finds them.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth.models import AbstractBaseUser
from django.db import connections, transaction
from django.db.models import Q, QuerySet

from denoise_relay.conf import relay_settings
from denoise_relay.jobs import actions, dependants, retention
from denoise_relay.models import Job, Part
from denoise_relay.runtime import logs
from denoise_relay.runtime.database import write_transaction

#: Jobs of a deleted user that are deleted at a time.
JOBS_AT_A_TIME = 100


def delete(job: Job) -> bool:
    """Delete a job with its events and recordings; return whether it was still there.

    A job that has not ended is canceled first (`actions.cancel`). Other tries of the same
    recording stay, with the files that they need. In a transaction of the caller, all this
    happens if that commits.
    """
    with write_transaction() as alias:
        return bool(_delete(alias, Q(pk=job.pk)))


async def adelete(job: Job) -> bool:
    """`delete` for async code."""
    return await sync_to_async(delete)(job)


def on_user_delete(instance: AbstractBaseUser, **_kwargs: Any) -> None:
    """Receives `pre_delete` of users: with `ON_USER_DELETE = "delete"` their jobs go with them.

    In the transaction that deletes the user: no job of theirs stays behind without an owner.
    """
    if relay_settings().ON_USER_DELETE != "delete":
        return
    with write_transaction() as alias:
        while _delete(alias, Q(owner=instance.pk)):
            pass


def _delete(alias: str, which: Q) -> int:
    """Delete some of these jobs; return how many, 0 when there are no more."""
    pks = list(Job.objects.using(alias).filter(which).values_list("pk", flat=True)[:JOBS_AT_A_TIME])
    if not pks:
        return 0
    # Retries are locked, too, because they will refer to their job no more. All in the order of
    # the journal, so that the two cannot deadlock.
    concerned = Job.objects.using(alias).filter(Q(pk__in=pks) | Q(retry_of__in=pks))
    if connections[alias].features.has_select_for_update:
        concerned = concerned.select_for_update().order_by("pk")
    # Read once they are locked: a runner may have stored a result since.
    jobs = [job for job in concerned if job.pk in pks]
    for job in jobs:
        if not job.ended:
            actions.cancel(job)
    parts = Part.objects.using(alias).filter(job__in=pks).exclude(result="")
    files = {name for job in jobs for column in retention.FILES if (name := _name(job, column))}
    files |= set(parts.values_list("result", flat=True)) | dependants.derived_files(alias, pks)
    dependants.delete_rows(alias, pks)
    Job.objects.using(alias).filter(pk__in=pks).delete()
    transaction.on_commit(partial(_discard, alias, files), using=alias, robust=True)
    for job in jobs:
        logs.logger.info(
            "Job %s is deleted", job.pk, extra=logs.fields("job_deleted", job=str(job.pk))
        )
    return len(jobs)


def _name(job: Job, column: str) -> str:
    name: str = getattr(job, column).name or ""
    return name


def _discard(alias: str, files: Collection[str]) -> None:
    """Delete the files that no job names any more.

    Asked after the commit: of two tries that are deleted at the same time, the second sees that
    the first is gone. No new job can name them: a retry refers to a job that would be gone.
    """
    others: QuerySet[Job] = Job.objects.using(alias)
    ours = set(files) - retention.named_files(others, files)
    retention.delete_files(sorted(ours), retention.Tally(), "files", dry_run=False)
