"""Retention needs no cron job: one supervisor of many does it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from django.db import connections
from django.utils import timezone

from denoise_relay.journal import schedule
from denoise_relay.models import Job, ScheduledTask, Segment
from denoise_relay.runtime import database
from tests.db.analyses import add_segment
from tests.db.factories import finish, stored_job
from tests.db.jobs.prune_command import aged, orphan
from tests.db.scripted_backends import Scripted
from tests.db.worker.working import QUICK, working
from tests.waiting import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("media")]


def test_a_task_is_done_by_one_of_many() -> None:
    def take(_process: int) -> bool:
        try:
            return schedule.take("task", 3600)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as processes:
        for _round in range(2):  # the first time there is no row yet
            assert sum(processes.map(take, range(8))) == 1
            ScheduledTask.objects.update(due_at=timezone.now())


@pytest.mark.parametrize("days", [30, 0])
async def test_a_supervisor_deletes_what_is_old(days: int) -> None:
    old = await database.call(lambda: aged(finish(stored_job()), 31))
    recent = await database.call(lambda: aged(finish(stored_job()), 29))
    left = await database.call(orphan, 2)

    async def swept() -> bool:
        return not await database.call(old.result.storage.exists, left)

    async with working(Scripted(replace(QUICK, RETENTION_DAYS=days))):
        await eventually(swept)
    kept = {job async for job in Job.objects.all()}
    assert kept == ({recent} if days else {old, recent})
    assert Path(recent.result.path).exists()
    assert Path(old.result.path).exists() is not bool(days)


async def test_a_supervisor_deletes_what_a_dead_process_left_of_a_job() -> None:
    old = await database.call(lambda: aged(finish(stored_job()), 1))
    await database.call(add_segment, old, 0)

    async with working(Scripted(QUICK)):
        await eventually(lambda: database.call(lambda: not Segment.objects.exists()))
