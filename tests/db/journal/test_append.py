"""Appending: numbers without gaps, fenced, one end, with many writers at the same time."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from denoise_relay.events import MESSAGE_LIMIT, Fact, Stage
from denoise_relay.exceptions import IllegalTransition
from denoise_relay.journal.append import FENCED, Entry, append_entries
from denoise_relay.lifecycle import Status
from denoise_relay.models import Job
from tests.db.checks import checked_events, parallel
from tests.db.factories import DONE, FAILED, append, end, make_job

pytestmark = pytest.mark.django_db


def test_events_are_numbered_and_mirrored() -> None:
    job = make_job()
    for pct in (10.0, 20.0):
        append(job, Fact(pct=pct, message=f"{pct:.0f} done"))
    end(job)

    assert [(e.seq, e.pct, e.message) for e in checked_events(job.pk)] == [
        (1, 0.0, "Queued"),
        (2, 10.0, "10 done"),
        (3, 20.0, "20 done"),
        (4, 100.0, "Done"),
    ]
    job.refresh_from_db()
    assert (job.status, job.seq, job.pct) == ("done", 4, 100.0)
    assert job.finished_at is not None


def test_several_entries_of_one_job_in_one_group() -> None:
    job = make_job()
    entry = partial(Entry, job=job.pk, epoch=0)

    outcomes = append_entries(
        [
            entry(fact=Fact(pct=5)),
            entry(fact=None, changes={"status": Status.PROCESSING, "upstream_id": "u"}),
            entry(fact=Fact(pct=7)),
            entry(fact=DONE, changes={"status": Status.DONE}),
            entry(fact=Fact(pct=9)),  # too late
        ]
    )

    assert [outcome.written for outcome in outcomes] == [True, True, True, True, False]
    assert [o.event.seq for o in outcomes if o.event] == [2, 3, 4]
    assert len(checked_events(job.pk)) == 4
    job.refresh_from_db()
    assert (job.status, job.upstream_id) == ("done", "u")


@pytest.mark.parametrize("epoch", [0, 2])
def test_a_writer_under_another_epoch_changes_nothing(epoch: int) -> None:
    job = make_job(epoch=1)
    before = Job.objects.filter(pk=job.pk).values().get()

    outcome = append(job, Fact(pct=50), epoch=epoch, upstream_id="zombie")

    assert outcome == FENCED
    assert Job.objects.filter(pk=job.pk).values().get() == before
    assert len(checked_events(job.pk)) == 1


@pytest.mark.parametrize("fact", [DONE, FAILED])
def test_an_ended_job_takes_nothing_more(fact: Fact) -> None:
    job = make_job()
    end(job, fact)
    before = Job.objects.filter(pk=job.pk).values().get()

    assert append(job, Fact(pct=99)) == FENCED
    assert end(job, DONE) == FENCED
    assert append(job, None, upstream_id="late") == FENCED
    assert Job.objects.filter(pk=job.pk).values().get() == before
    assert [e.stage for e in checked_events(job.pk)] == [Stage.PROCESSING, fact.stage]


def test_an_unknown_job_is_fenced_off_and_others_are_written() -> None:
    job = make_job()

    unknown, known = append_entries(
        [
            Entry(job=uuid4(), epoch=0, fact=Fact(pct=1)),
            Entry(job=job.pk, epoch=0, fact=Fact(pct=1)),
        ]
    )

    assert not unknown.written
    assert known.written


def test_no_entries_at_all() -> None:
    assert append_entries([]) == []


def test_percents_never_fall_and_errors_keep_them() -> None:
    job = make_job()
    for pct in (40, 10, float("nan"), 60, -5, 10**400, 70):
        append(job, Fact(pct=pct))
    end(job, FAILED)

    assert [e.pct for e in checked_events(job.pk)] == [0, 40, 40, 40, 60, 60, 100, 100, 100]


def test_text_is_cleaned_before_it_is_stored() -> None:
    job = make_job()

    append(job, Fact(message="a\x00b\ud800c" + "x" * 600))

    message = checked_events(job.pk)[-1].message
    assert message.startswith("a b cxxx")
    assert len(message) == MESSAGE_LIMIT


@pytest.mark.parametrize(
    ("fact", "changes"),
    [
        (Fact(), {"status": Status.DONE}),
        (None, {"status": Status.ERROR}),
        (DONE, {}),
        (FAILED, {"status": Status.PROCESSING}),
    ],
)
def test_the_end_is_an_event_and_a_status_together(
    fact: Fact | None, changes: dict[str, Any]
) -> None:
    job = make_job()

    with pytest.raises(IllegalTransition):
        append(job, fact, **changes)

    assert len(checked_events(job.pk)) == 1


def test_a_bad_entry_leaves_no_trace_of_its_group() -> None:
    good, bad = make_job(), make_job()
    append(bad, None, status=Status.PROCESSING)

    with pytest.raises(IllegalTransition, match="processing may not become submitting"):
        append_entries(
            [
                Entry(job=good.pk, epoch=0, fact=Fact(pct=10)),
                Entry(job=bad.pk, epoch=0, changes={"status": Status.SUBMITTING}),
            ]
        )

    assert len(checked_events(good.pk)) == 1


def _queries_for(jobs: int) -> int:
    made = Job.objects.bulk_create([Job(file_name=f"{n}.wav") for n in range(jobs)])
    entries = [
        Entry(job=job.pk, epoch=0, fact=Fact(pct=1), changes={"status": Status.PROCESSING})
        for job in made
    ]
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert all(outcome.written for outcome in append_entries(entries))
    return len(queries)


def test_a_group_of_200_jobs_costs_as_many_queries_as_a_few() -> None:
    few, many = _queries_for(2), _queries_for(200)

    # SQLite takes 999 parameters at a time, so Django splits the writes in a few batches.
    assert many <= few + (6 if connection.vendor == "sqlite" else 0)


@pytest.mark.django_db(transaction=True)
def test_writers_at_the_same_time_leave_no_gap() -> None:
    job, other = make_job(), make_job()

    def write(writer: int) -> int:
        return sum(
            outcome.written
            for n in range(10)
            for outcome in append_entries(
                # In both orders: two groups must not deadlock.
                [Entry(job=j.pk, epoch=0, fact=Fact(pct=n)) for j in (job, other)][
                    :: 1 if writer % 2 else -1
                ]
            )
        )

    assert parallel([partial(write, n) for n in range(8)]) == [20] * 8
    assert len(checked_events(job.pk)) == len(checked_events(other.pk)) == 81


@pytest.mark.django_db(transaction=True)
def test_of_simultaneous_ends_one_is_written() -> None:
    job = make_job()

    ends = parallel([partial(end, job, DONE if n % 2 else FAILED) for n in range(8)])

    assert sum(outcome.written for outcome in ends) == 1
    assert len(checked_events(job.pk)) == 2
