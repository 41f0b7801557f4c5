"""What is submitted again: jobs that have ended, and whose recordings are there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync

from denoise_relay.exceptions import NotEnded, RecordingDeleted
from denoise_relay.jobs import actions, fetching
from denoise_relay.models import Job
from tests.db.factories import end, fail, stored_job

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("media")]

REPEATS = pytest.mark.parametrize(
    "repeat",
    [
        actions.retry,
        async_to_sync(actions.aretry),
        fetching.fetch_again,
        async_to_sync(fetching.afetch_again),
    ],
    ids=["retry", "aretry", "fetch_again", "afetch_again"],
)


@REPEATS
@pytest.mark.parametrize("status", ["queued", "processing"])
def test_an_active_job_is_not_repeated(repeat: Callable[[Job], Job], status: str) -> None:
    job = stored_job(upstream_id="u-1", status=status, fetchable=True)
    with pytest.raises(NotEnded, match=r"^This job has not ended yet\.$"):
        repeat(job)
    assert Job.objects.count() == 1


@REPEATS
def test_the_row_counts_and_not_an_older_object(repeat: Callable[[Job], Job]) -> None:
    job = stored_job(upstream_id="u-1", fetchable=True)
    end(job)
    assert not job.ended
    assert repeat(job).retry_of == job


@REPEATS
@pytest.mark.parametrize("name", ["as it was", ""])
def test_a_deleted_recording_is_not_repeated(repeat: Callable[[Job], Job], name: str) -> None:
    job = fail(stored_job(upstream_id="u-1", fetchable=True), "Lost")
    job.original.storage.delete(job.original.name or "")
    if not name:
        job.original.name = name
    with pytest.raises(RecordingDeleted, match=r"^The recording has been deleted\.$") as raised:
        repeat(job)
    assert isinstance(raised.value, FileNotFoundError)
    assert Job.objects.count() == 1


def test_the_admin_says_what_it_left_alone(admin_client: Any) -> None:
    ended, gone, active = fail(stored_job(), "Lost"), fail(stored_job(), "Lost"), stored_job()
    gone.original.storage.delete(gone.original.name or "")
    data = {"action": "retry_selected", "_selected_action": [ended.pk, gone.pk, active.pk]}
    page = admin_client.post("/admin/denoise_relay/job/", data, follow=True).content.decode()
    assert "1 job was queued again." in page
    assert "1 job has not ended yet and was left alone." in page
    assert "The recording of 1 job has been deleted." in page
    assert [job.retry_of for job in Job.objects.filter(retry_of__isnull=False)] == [ended]


@pytest.mark.parametrize(("verb", "status"), [("retry", 302), ("fetch", 404)])
def test_an_admin_button_for_a_deleted_recording(admin_client: Any, verb: str, status: int) -> None:
    job = fail(stored_job(upstream_id="u-1", fetchable=True), "Lost")
    job.original.storage.delete(job.original.name or "")
    page = f"/admin/denoise_relay/job/{job.pk}"
    assert admin_client.post(f"{page}/{verb}/").status_code == status
    assert Job.objects.count() == 1
