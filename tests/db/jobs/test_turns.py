"""Fair claims: the submitters take turns, whoever queues how much, and when."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.db import connection
from django.utils import timezone

from denoise_relay.jobs import actions, enqueue, queue_positions, turns
from denoise_relay.journal import leases
from denoise_relay.models import ApiKey, Job
from denoise_relay.runtime import database
from tests.db.checks import checked_events, parallel
from tests.db.factories import end

pytestmark = pytest.mark.django_db


def submit(who: str, **columns: Any) -> Job:
    """A queued job of a visitor."""
    job = Job(visitor=who, file_name="voice.wav", **columns)
    job.original.name = "denoise/none/voice.wav"
    return enqueue.enqueue(job)


def served(number: int) -> str:
    """The submitters of the next claims, one job at a time, as one small worker makes them. Each
    job ends before the next claim."""
    names = []
    for _ in range(number):
        (lease,) = leases.claim("worker", 1, 60)
        job = Job.objects.get(pk=lease.job)
        names.append(job.visitor)
        end(job)
    return "".join(names)


def flood(who: str, number: int) -> None:
    """A thousand jobs in one statement: what `number` submissions would leave."""
    submitter = turns.submitter_of(Job(visitor=who))
    Job.objects.bulk_create(
        Job(visitor=who, file_name="voice.wav", submitter=submitter, turn=turn)
        for turn in range(number)
    )


def test_an_owner_of_a_thousand_jobs_does_not_starve_others() -> None:
    flood("a", 1000)
    assert served(3) == "aaa"  # nobody else is there
    for who in "bbc":
        submit(who)
    # Each of them is served in the round in which they came.
    assert served(6) == "bcabaa"


def test_nor_do_others_starve_it() -> None:
    """People who come again and again, each time when they have nothing in the queue."""
    flood("a", 10)
    assert served(1) == "a"
    for _ in range(3):
        submit("d")
        submit("e")
        assert sorted(served(3)) == ["a", "d", "e"]


def test_two_who_alternate_do_not_keep_a_third_waiting() -> None:
    """Their jobs are short, and one of them is always in the queue."""
    submit("f")
    submit("f")
    submit("d")
    seen = ""
    for number in range(8):
        submit("ed"[number % 2])
        seen += served(1)
    assert "f" in seen[:2]
    assert seen.count("f") == 2, seen
    assert seen.index("f", 1) <= 4, seen


def test_after_a_quiet_time_nobody_has_credit_or_debt() -> None:
    for _ in range(50):
        submit("a")
    assert served(50) == "a" * 50
    for who in "abcabc":
        submit(who)
    assert served(6) == "bcabca"


def test_a_released_job_does_not_turn_the_clock_back() -> None:
    flood("a", 200)
    (early,) = leases.claim("old worker", 1, 60)
    assert served(100) == "a" * 100
    leases.release("old worker")
    for _ in range(3):
        submit("c")
    assert Job.objects.get(pk=early.job).turn == 0
    assert served(5) == "acaca"


def test_a_thousand_canceled_jobs_are_no_debt() -> None:
    for _ in range(5):
        actions.cancel(submit("a"))
    for _ in range(3):
        submit("b")
    submit("a")
    assert served(2) == "ba"


def test_a_claim_of_many_takes_turns_too() -> None:
    for who in "aaaabbc":
        submit(who)
    claimed = [lease.job for lease in leases.claim("worker", 4, 60)]
    assert [Job.objects.get(pk=pk).visitor for pk in claimed] == ["a", "b", "c", "a"]


def test_who_counts_as_one() -> None:
    user, key = User.objects.create_user("ada"), ApiKey.objects.create(name="k", digest="d")
    assert turns.submitter_of(Job(owner=user, api_key=key)) == f"user {user.pk}"
    assert turns.submitter_of(Job(api_key=key)) == f"key {key.pk}"
    assert turns.submitter_of(Job(visitor="x" * 64)) == f"visitor {'x' * 64}"
    assert turns.submitter_of(Job()) == ""
    field = Job._meta.get_field("submitter")
    assert field.max_length is not None
    assert len(turns.submitter_of(Job(visitor="x" * 64))) <= field.max_length


@pytest.mark.usefixtures("media")
def test_a_retry_waits_for_its_turn() -> None:
    job = submit("a")
    job.original.storage.save(job.original.name or "", ContentFile(b"a recording"))
    assert served(1) == "a"
    for _ in range(3):
        submit("b")
    job.refresh_from_db()
    assert actions.retry(job).submitter == "visitor a"
    assert served(4) == "bbab"  # the first of `b` is in the round in which `a` has been served


@pytest.mark.django_db(transaction=True)
def test_many_at_the_same_time_each_have_a_turn_of_their_own() -> None:
    parallel([lambda: submit("a") for _ in range(8)])
    assert sorted(Job.objects.values_list("turn", flat=True)) == list(range(8))


@pytest.mark.django_db(transaction=True)
async def test_places_tell_the_truth_about_the_order() -> None:
    mine = [await database.call(submit, "a") for _ in range(3)]
    assert [job.ahead for job in mine] == [0, 1, 2]
    theirs = await database.call(submit, "b")
    assert (theirs.ahead, theirs.message) == (1, "Queued, 1 ahead")
    await queue_positions.announce()

    def newest(job: Job) -> str:
        return checked_events(job.pk)[-1].message

    shown = [await database.call(newest, job) for job in (*mine, theirs)]
    assert shown == ["Queued", "Queued, 2 ahead", "Queued, 3 ahead", "Queued, 1 ahead"]
    order = await database.call(leases.claim, "worker", 4, 60)
    assert [lease.job for lease in order] == [job.pk for job in (mine[0], theirs, *mine[1:])]


def test_far_back_a_doubled_place_is_told() -> None:
    assert queue_positions._is_due(30, 60)
    assert not queue_positions._is_due(30, 59)
    assert queue_positions._is_due(3, 4)


def test_the_queries_of_a_submission_and_a_claim_use_their_indexes() -> None:
    """However many jobs have ended, and however many one owner has."""
    flood("a", 1000)
    Job.objects.bulk_create(
        Job(
            visitor="a",
            submitter="visitor a",
            turn=turn,
            file_name="old.wav",
            status="done",
            started_at=timezone.now(),
            finished_at=timezone.now(),
        )
        for turn in range(3000)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    plan = leases.free(connection.alias).order_by(*leases.CLAIM_ORDER)[:10].explain()
    assert "relay_job_active" in plan
    assert "sort" not in plan.lower().replace("sorted", "")
    assert "temp b-tree" not in plan.lower()
    started = Job.objects.filter(started_at__isnull=False).order_by("-turn").values("turn")[:1]
    assert "relay_job_served" in started.explain()
    own = Job.objects.filter(submitter="visitor a").order_by("-turn").values("turn")[:1]
    assert "relay_job_submitter" in own.explain()
