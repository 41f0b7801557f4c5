"""Leases: one holder at a time; an expired lease can be claimed, and its old holder is fenced."""

from __future__ import annotations

import time
from datetime import timedelta
from functools import partial

import pytest
from django.db import connection
from django.utils import timezone

from denoise_relay.events import Fact
from denoise_relay.journal import leases
from denoise_relay.journal.append import FENCED, Entry, append_entries
from denoise_relay.models import Job
from tests.db.checks import checked_events, parallel
from tests.db.factories import append, end, make_job

pytestmark = pytest.mark.django_db


def expire(job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(lease_until=timezone.now() - timedelta(seconds=1))


def test_claims_are_taken_oldest_first_and_counted() -> None:
    some = [make_job() for _ in range(3)]

    claimed = leases.claim("me", 2, 15, backend="local")

    assert [(lease.job, lease.epoch) for lease in claimed] == [(job.pk, 1) for job in some[:2]]
    row = Job.objects.get(pk=some[0].pk)
    assert (row.lease_owner, row.epoch, row.backend) == ("me", 1, "local")
    assert row.started_at is not None
    assert row.lease_until is not None
    assert 10 < (row.lease_until - timezone.now()).total_seconds() <= 15.5
    assert [lease.job for lease in leases.claim("you", 9, 15)] == [some[2].pk]
    assert leases.claim("you", 9, 15) == []


def test_ended_jobs_are_never_claimed() -> None:
    end(make_job())

    assert leases.claim("me", 9, 15) == []


def test_an_expired_lease_passes_on_and_its_holder_is_fenced_off() -> None:
    job = make_job()
    (mine,) = leases.claim("me", 1, 15)
    begun = Job.objects.get(pk=job.pk).started_at
    expire(job)

    (yours,) = leases.claim("you", 1, 15)

    assert (mine.epoch, yours.epoch) == (1, 2)
    assert Job.objects.get(pk=job.pk).started_at == begun
    assert append(job, Fact(pct=99), epoch=mine.epoch) == FENCED
    assert append(job, Fact(pct=10), epoch=yours.epoch).written
    assert [event.pct for event in checked_events(job.pk)] == [0, 10]


def test_renew_returns_the_leases_that_are_left() -> None:
    kept, taken, canceled = (make_job() for _ in range(3))
    held = {lease.job for lease in leases.claim("me", 3, 15)}
    Job.objects.filter(pk=taken.pk).update(lease_owner="you", epoch=2)
    Job.objects.filter(pk=canceled.pk).update(lease_owner="", lease_until=None, epoch=2)
    expire(kept)

    assert leases.renew("me", held, 15) == {kept.pk}

    until = Job.objects.get(pk=kept.pk).lease_until
    assert until is not None
    assert until > timezone.now() + timedelta(seconds=10)
    assert Job.objects.get(pk=canceled.pk).lease_until is None
    assert leases.renew("me", set(), 15) == set()


def test_release_frees_unfinished_jobs() -> None:
    open_job, done = make_job(), make_job()
    leases.claim("me", 2, 15)
    done.refresh_from_db()
    end(done)

    assert leases.release("me") == 1
    assert leases.release("me") == 0

    (again,) = leases.claim("you", 9, 15)
    assert (again.job, again.epoch) == (open_job.pk, 2)


@pytest.mark.django_db(transaction=True)
def test_eight_claimers_take_each_of_100_jobs_once() -> None:
    some = {make_job().pk for _ in range(100)}

    def claim(name: str) -> list[leases.Lease]:
        taken: list[leases.Lease] = []
        deadline = time.monotonic() + 30
        while more := leases.claim(name, 3, 60):
            taken += more
            assert time.monotonic() < deadline
        return taken

    taken = parallel([partial(claim, f"owner-{n}") for n in range(8)])

    flat = [lease for some_of_it in taken for lease in some_of_it]
    assert len(flat) == 100
    assert {lease.job for lease in flat} == some
    assert {lease.epoch for lease in flat} == {1}


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_renewals_and_groups_of_events_do_not_deadlock() -> None:
    some = [make_job() for _ in range(60)]
    held = {lease.job for lease in leases.claim("me", 60, 60)}

    def renew() -> None:
        for _ in range(15):
            assert leases.renew("me", held, 60) == held

    def write(backwards: bool) -> None:
        for pct in range(15):
            entries = [Entry(job=job.pk, epoch=1, fact=Fact(pct=pct)) for job in some]
            outcomes = append_entries(entries[::-1] if backwards else entries)
            assert all(outcome.written for outcome in outcomes)

    # PostgreSQL ends a deadlock by an OperationalError, which would come out here.
    parallel([renew, renew, partial(write, False), partial(write, True)])

    assert {job.seq for job in Job.objects.filter(pk__in=held)} == {31}


@pytest.mark.django_db
def test_a_claim_does_not_get_slower_with_ended_jobs() -> None:
    Job.objects.bulk_create(
        Job(file_name="old.wav", status="done", finished_at=timezone.now()) for _ in range(3000)
    )
    make_job()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")

    plan = leases.free(connection.alias).order_by(*leases.CLAIM_ORDER)[:10].explain()

    assert "relay_job_active" in plan
