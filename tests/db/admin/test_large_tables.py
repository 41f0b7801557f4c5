"""The list, its search and its dates, with many jobs."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from denoise_relay.admin import large_tables
from denoise_relay.admin.jobs import JobAdmin
from denoise_relay.admin.large_tables import JobsByDate
from denoise_relay.models import Job
from tests.db.admin.staff import LIST, text
from tests.db.factories import fail, finish, stored_job


def names_on(client: Client, query: str) -> set[str]:
    response = client.get(f"{LIST}?{query}")
    return {job.file_name for job in response.context["cl"].result_list}


def test_list_costs_the_same_queries_for_any_number_of_jobs(root: Client) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            text(root, LIST)
        return len(captured)

    stored_job(owner=User.objects.create_user("first"))
    few = queries()
    for n in range(20):
        finish(stored_job(owner=User.objects.create_user(f"user{n}")))

    assert queries() == few
    assert few <= 8


def test_list_never_counts_all_jobs(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_tables, "COUNT_LIMIT", 3)
    monkeypatch.setattr(JobAdmin, "list_per_page", 2)
    for _ in range(5):
        stored_job()

    with CaptureQueriesContext(connection) as captured:
        response = root.get(LIST)

    assert response.context["cl"].result_count == 3
    counts = [query["sql"] for query in captured if "COUNT(" in query["sql"]]
    assert counts
    assert all("LIMIT 3" in sql for sql in counts)


def test_a_search_reads_the_jobs_once(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(3):
        stored_job(file_name=f"{n}.wav")

    def looks(query: str) -> int:
        with CaptureQueriesContext(connection) as captured:
            names_on(root, query)
        jobs = [query["sql"] for query in captured if "denoise_relay_job" in query["sql"]]
        return sum(" LIKE " in sql and " IN (" not in sql for sql in jobs)

    assert looks("q=1.wav") == looks("q=nothing") == 1
    monkeypatch.setattr(JobAdmin, "list_per_page", 2)
    assert looks("q=.wav") == 2  # and a count, because there is a second page
    assert names_on(root, "q=.wav&p=2") == {"0.wav"}


def test_dates_cost_the_same_queries_for_any_number(root: Client) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            text(root, f"{LIST}?created_at__year=2024")
        return len(captured)

    def job_in(month: int) -> None:
        moment = datetime(2024, month, 29, 12, tzinfo=UTC)
        Job.objects.filter(pk=stored_job().pk).update(created_at=moment)

    job_in(2)
    few = queries()
    for month in range(3, 12):
        job_in(month)

    assert queries() == few


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=call", {"Team call.wav"}),
        ("q=TEAM", {"Team call.wav"}),
        ("q=ann", {"of ann.wav"}),
        ("q=vendor-7", {"upstream.wav"}),
        ("q=nothing", set()),
        ("status__exact=error", {"failed.wav"}),
        ("is_video__exact=1", {"film.mp4"}),
        ("owner__isempty=0", {"of ann.wav"}),
    ],
)
def test_list_is_searched_and_filtered(root: Client, query: str, found: set[str]) -> None:
    stored_job(file_name="Team call.wav")
    stored_job(file_name="of ann.wav", owner=User.objects.create_user("ann"))
    stored_job(file_name="upstream.wav", upstream_id="vendor-7")
    stored_job(file_name="film.mp4", is_video=True)
    fail(stored_job(file_name="failed.wav"), "No speech")

    assert names_on(root, query) == found


def test_search_for_an_id_reads_one_row_by_its_key(root: Client) -> None:
    wanted = stored_job(file_name="wanted.wav")
    stored_job(file_name="other.wav")

    with CaptureQueriesContext(connection) as captured:
        found = names_on(root, f"q={wanted.pk}")

    assert found == {"wanted.wav"}
    assert not [query["sql"] for query in captured if "LIKE" in query["sql"].upper()]


def test_search_finds_an_upstream_id_that_is_a_uuid(root: Client) -> None:
    upstream_id = "5b1d2f7e-3f81-4c2a-9c5d-7a2e91b4c7a1"
    stored_job(file_name="wanted.wav", upstream_id=upstream_id)
    stored_job(file_name="other.wav")

    assert names_on(root, f"q={upstream_id}") == {"wanted.wav"}


@pytest.mark.parametrize("zone", ["UTC", "America/Chicago", "Asia/Kathmandu"])
@pytest.mark.parametrize("kind", ["day", "month", "year"])
@pytest.mark.django_db
def test_dates_are_those_that_django_finds_by_reading_every_row(kind: str, zone: str) -> None:
    shuffled = random.Random(kind + zone)
    jobs = Job.objects.bulk_create([Job(original="x") for _ in range(60)])
    for job in jobs:
        # Over three years, with clock changes and leap days, and often near midnight.
        hours = shuffled.randrange(3 * 366) * 24 + shuffled.choice([-1, 0, 5, 6, 18])
        moment = datetime(2023, 12, 31, tzinfo=UTC) + timedelta(hours=hours)
        Job.objects.filter(pk=job.pk).update(created_at=moment)

    with timezone.override(zone):
        found = JobsByDate(Job).datetimes("created_at", kind)
        assert found == list(Job.objects.order_by().datetimes("created_at", kind))


def test_list_offers_dates_to_choose_but_not_within_a_search(root: Client) -> None:
    stored_job(file_name="now.wav")
    old = stored_job(file_name="old.wav")
    Job.objects.filter(pk=old.pk).update(created_at=datetime(2024, 2, 29, 12, tzinfo=UTC))

    assert "?created_at__year=2024" in text(root, LIST)
    assert names_on(root, "created_at__year=2024&created_at__month=2") == {"old.wav"}
    assert "?created_at__year=2024" not in text(root, f"{LIST}?q=old")
