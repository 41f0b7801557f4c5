"""One progress event outside any transaction: one statement on PostgreSQL, the same contract."""

from __future__ import annotations

from functools import partial
from uuid import uuid4

import pytest
from django.db import transaction

from denoise_relay.events import MESSAGE_LIMIT, Fact
from denoise_relay.journal.append import FENCED, Entry, append_entries
from denoise_relay.models import Event, Job
from tests.db.checks import checked_events, parallel
from tests.db.factories import FAILED, append, end, make_job

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_outcome_is_what_is_in_the_journal() -> None:
    job = make_job(epoch=3)

    first = append(job, Fact(pct=40.04, message="Half\x00 way" + "x" * 600))
    second = append(job, Fact(pct=10, message="Again"))

    assert [first.event, second.event] == checked_events(job.pk)[1:]
    assert [e.pct for e in checked_events(job.pk)] == [0, 40, 40]
    assert len(checked_events(job.pk)[1].message) == MESSAGE_LIMIT


@pytest.mark.parametrize("epoch", [0, 2])
def test_another_epoch_changes_nothing(epoch: int) -> None:
    job = make_job(epoch=1)
    before = Job.objects.filter(pk=job.pk).values().get()

    assert append(job, Fact(pct=50), epoch=epoch) == FENCED
    assert Job.objects.filter(pk=job.pk).values().get() == before
    assert len(checked_events(job.pk)) == 1


def test_an_ended_job_and_an_unknown_one_take_nothing() -> None:
    job = make_job()
    end(job, FAILED)

    assert append(job, Fact(pct=99)) == FENCED
    assert append_entries([Entry(job=uuid4(), epoch=0, fact=Fact(pct=1))]) == [FENCED]
    assert len(checked_events(job.pk)) == 2


def test_it_is_part_of_the_callers_transaction() -> None:
    job = make_job()

    with transaction.atomic():
        append(job, Fact(pct=50))
        transaction.set_rollback(True)

    assert Event.objects.filter(job=job.pk).count() == 1


def test_of_many_at_once_each_has_its_number_and_times_do_not_fall() -> None:
    job = make_job()

    def write(writer: int) -> int:
        return sum(append(job, Fact(pct=n * writer)).written for n in range(20))

    assert parallel([partial(write, n) for n in range(6)]) == [20] * 6
    assert len(checked_events(job.pk)) == 121
