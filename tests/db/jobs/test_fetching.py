"""A result that could not be fetched in time is fetched by another job, without a second bill."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from denoise_relay.backends.upstream import UpstreamBackend
from denoise_relay.conf import RelaySettings
from denoise_relay.exceptions import JobFailed, ServiceFailed
from denoise_relay.jobs import actions, fetching
from denoise_relay.models import Job
from denoise_relay.runtime import database
from denoise_relay.testing import ScriptedUpstream, answers
from tests.db.factories import fail, stored_job
from tests.db.scripted_backends import Behaviour
from tests.db.views.visitors import visitor_of
from tests.db.worker.working import QUICK, ended, new_job, run_one, working

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("media")]


def settings_for(upstream: ScriptedUpstream, **more: Any) -> RelaySettings:
    here = {"UPSTREAM_URL": upstream.url, "API_KEY": upstream.key}
    return replace(QUICK, **here, ALLOWED_RESULT_HOSTS=(upstream.netloc,), **more)


async def test_a_result_is_fetched_after_the_outage() -> None:
    async with ScriptedUpstream() as upstream:
        upstream.on_result(*[answers.error(503)] * 1000)
        job = await new_job()
        async with working(UpstreamBackend(settings_for(upstream, JOB_DEADLINE_SECONDS=2))):  # type: ignore[arg-type]
            (failed,) = await ended(job)
        assert (failed.status, failed.fetchable) == ("error", True)

        upstream._scripts["result"].clear()
        again = await fetching.afetch_again(failed)
        async with working(UpstreamBackend(settings_for(upstream))):  # type: ignore[arg-type]
            (done,) = await ended(again)
    assert (done.status, done.fetchable, done.retry_of_id) == ("done", False, failed.pk)
    assert await database.call(Path(done.result.path).read_bytes) == upstream.result
    assert upstream.counts["submit"] == 1


def failing(error: Exception, *, upstream_id: str = "u-1") -> Behaviour:
    async def behave(run: Any) -> Any:
        await run.accepted(upstream_id or str(run.assignment.job))
        raise error

    return behave


@pytest.mark.parametrize(
    ("behaviour", "fetchable"),
    [
        (failing(JobFailed("Too late.")), True),
        (failing(ZeroDivisionError("a bug of ours")), True),
        (failing(ServiceFailed("No speech in it.")), False),
        (failing(JobFailed("The engine crashed."), upstream_id=""), False),
    ],
    ids=["ours", "bug", "the service's", "local"],
)
async def test_what_may_be_fetched(behaviour: Behaviour, fetchable: bool) -> None:
    job = await run_one(behaviour)
    assert (job.status, job.fetchable) == ("error", fetchable)
    if not fetchable:
        with pytest.raises(ValueError, match="no result"):
            await fetching.afetch_again(job)


def test_a_canceled_job_may_be_fetched() -> None:
    """The upstream is not told, goes on, and is paid."""
    job = stored_job(upstream_id="u-1", status="processing")
    actions.cancel(job)
    job.refresh_from_db()
    assert job.fetchable
    assert fetching.fetch_again(job).upstream_id == "u-1"


@pytest.mark.parametrize("status", ["error", "canceled"])
def test_the_page_fetches_first_what_failed(client: Client, status: str) -> None:
    """And of a canceled job only when asked: the upstream may have been told to stop."""
    job = stored_job(upstream_id="u-1", status="processing", visitor=visitor_of(client))
    if status == "canceled":
        actions.cancel(job)
    else:
        fail(job, "Too late.")
        Job.objects.update(fetchable=True)
    page = client.get(f"/jobs/{job.pk}/").content.decode()
    assert "Fetch the result again" in page
    assert ("Process it once more" in page) == (status == "error")

    first = "u-1" if status == "error" else ""
    for form, upstream_id in (({}, first), ({"anew": "1"}, ""), ({"fetch": "1"}, "u-1")):
        location = client.post(f"/jobs/{job.pk}/retry/", form)["Location"]
        assert Job.objects.get(pk=location.split("/")[2]).upstream_id == upstream_id


def test_staff_fetch_in_the_admin(admin_client: Client) -> None:
    job = stored_job(upstream_id="u-1", status="processing")
    change = f"/admin/denoise_relay/job/{job.pk}/"
    assert admin_client.post(f"{change}fetch/").status_code == 404
    actions.cancel(job)
    assert "Fetch the result again" in admin_client.get(f"{change}change/").content.decode()
    answer = admin_client.post(f"{change}fetch/")
    assert (answer.status_code, Job.objects.exclude(pk=job.pk).get().upstream_id) == (302, "u-1")
