"""Recordings that the upstream does not take at once: each part is submitted once, and joined."""

from __future__ import annotations

import functools
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from django.core.files.base import ContentFile

from denoise_relay import engine
from denoise_relay.backends.base import Limits, Result, Run
from denoise_relay.backends.upstream import UpstreamBackend
from denoise_relay.conf import RelaySettings
from denoise_relay.exceptions import LeaseLost
from denoise_relay.jobs import actions
from denoise_relay.journal import leases, parts
from denoise_relay.models import Job, Part, media_storage
from denoise_relay.runtime import database
from denoise_relay.testing import ScriptedUpstream, answers
from denoise_relay.worker.parts import needed
from denoise_relay.worker.supervisor import Supervisor
from tests.changes import softer_and_later
from tests.db.checks import checked_events
from tests.db.factories import make_job
from tests.db.worker.working import ended, fresh
from tests.unit.engine import material
from tests.waiting import eventually

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("media"),
    pytest.mark.skipif(not engine.available(), reason="needs the local engine"),
]
RATE = 8000
SECONDS = 60


@functools.cache
def talk() -> bytes:
    """A minute of speech, as WAV."""
    speech = np.tile(material.speech(RATE), SECONDS // 4) * 0.5
    with tempfile.TemporaryDirectory() as folder:
        signal = speech + material.noise(len(speech), 1) * 1e-3
        return material.make(Path(folder), "s16.wav", signal, rate=RATE).read_bytes()


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as running:
        running.transform = softer_and_later
        yield running


def relay(upstream: ScriptedUpstream, **changes: Any) -> RelaySettings:
    facts: dict[str, Any] = {
        "UPSTREAM_URL": upstream.url,
        "API_KEY": upstream.key,
        "ALLOWED_RESULT_HOSTS": (upstream.netloc,),
        "UPSTREAM_MAX_SECONDS": 20.0,
        "SUBMISSION_GRACE_SECONDS": 0.5,
        "EVENTS_PER_SECOND": 50.0,
    }
    return RelaySettings(**facts | changes)


async def long_job() -> Job:
    job = await database.call(make_job, file_name="talk.wav", duration_seconds=float(SECONDS))
    await database.call(job.original.save, "talk.wav", ContentFile(talk()))
    return job


async def run(
    upstream: ScriptedUpstream, backend: type[UpstreamBackend] = UpstreamBackend, **changes: Any
) -> Job:
    """A job of a minute, after its end."""
    job = await long_job()
    settings = relay(upstream, **changes)
    supervisor = Supervisor(backend(settings), settings)
    await supervisor.start()
    try:
        (found,) = await ended(job, within=50)
    finally:
        await supervisor.stop()
    await database.call(checked_events, job.pk)
    return found


def parts_of(job: Job) -> list[Part]:
    return list(Part.objects.filter(job=job))


def submits(upstream: ScriptedUpstream) -> Counter[str]:
    """How often each part was taken, by its own id."""
    return Counter(record.file_name.rpartition("-")[0] for record in upstream.records)


class Noting(UpstreamBackend):
    """Notes whether anybody wants to see what it makes."""

    wanted: ClassVar[list[bool]] = []

    async def run(self, run: Run) -> Result:
        self.wanted.append(run.assignment.previews)
        return await super().run(run)


async def test_a_part_is_not_shown(upstream: ScriptedUpstream) -> None:
    """Parts are made side by side, so that the upstream is not even asked what it could show."""
    Noting.wanted.clear()
    await run(upstream, Noting)

    assert len(Noting.wanted) >= 4
    assert not any(Noting.wanted)


async def test_the_parts_are_submitted_once_each_and_joined(upstream: ScriptedUpstream) -> None:
    job = await run(upstream)

    assert (job.status, job.warning) == ("done", "")
    found = await database.call(parts_of, job)
    assert len(found) >= 4
    assert submits(upstream) == {str(part.submission): 1 for part in found}
    before = material.decode(Path(job.original.path))[0]
    after, rate = material.decode(Path(job.result.path))
    assert (rate, after.shape) == (RATE, before.shape)
    assert np.abs(after - 0.7 * before).max() < 2e-3
    assert not any(media_storage().exists(part.result.name or "") for part in found)
    messages = await database.call(lambda: list(job.events.values_list("message", flat=True)))
    assert any(message.startswith(f"Part 1 of {len(found)}: ") for message in messages)


async def test_a_part_that_fails_is_submitted_again_alone(upstream: ScriptedUpstream) -> None:
    upstream.on_progress(answers.stream(answers.failed("GPU on fire")))
    job = await run(upstream)

    assert job.status == "done"
    found = await database.call(parts_of, job)
    assert sorted(part.failures for part in found) == [0] * (len(found) - 1) + [1]
    assert len(upstream.records) == len(found) + 1


async def test_a_part_that_fails_again_fails_the_job(upstream: ScriptedUpstream) -> None:
    upstream.on_progress(*[answers.stream(answers.failed("GPU on fire"))] * 4)
    job = await run(upstream, UPSTREAM_PARTS_AT_ONCE=1)

    assert (job.status, job.message) == ("error", "GPU on fire")
    assert "part 0" in job.error_detail
    assert len(upstream.records) == 2


async def test_another_process_goes_on_where_the_first_stopped(upstream: ScriptedUpstream) -> None:
    """Parts that are done are not submitted again, and those in flight are found."""
    job = await long_job()
    settings = relay(upstream, UPSTREAM_PARTS_AT_ONCE=2)
    # The third part hangs.
    upstream.on_progress(answers.contract(), answers.contract(), answers.silence())
    first = Supervisor(UpstreamBackend(settings), settings)
    await first.start()
    await eventually(lambda: upstream.counts["progress"] >= 3, within=30)
    await first.stop()
    assert not (await fresh(job)).ended

    second = Supervisor(UpstreamBackend(settings), settings)
    await second.start()
    try:
        (found,) = await ended(job, within=50)
    finally:
        await second.stop()
    assert found.status == "done"
    assert set(submits(upstream).values()) == {1}


async def test_a_lost_submission_fails_the_job_if_the_site_forbids_a_second(
    upstream: ScriptedUpstream,
) -> None:
    upstream.on_submit(answers.read_body() + answers.close())
    job = await run(upstream, ON_LOST_SUBMISSION="fail", UPSTREAM_PARTS_AT_ONCE=1)
    assert job.status == "error"
    assert upstream.counts["submit"] == 1


async def test_a_result_that_cannot_be_kept_is_not_paid_for_twice(
    upstream: ScriptedUpstream,
) -> None:
    job = await run(upstream, MAX_RESULT_BYTES=1000, UPSTREAM_PARTS_AT_ONCE=1)
    assert job.status == "error"
    assert len(upstream.records) == 1


async def test_a_runner_with_other_limits_keeps_the_cuts(upstream: ScriptedUpstream) -> None:
    job = await long_job()
    upstream.on_progress(answers.contract(), answers.silence())
    for seconds in (20.0, 30.0):
        settings = relay(upstream, UPSTREAM_MAX_SECONDS=seconds, UPSTREAM_PARTS_AT_ONCE=1)
        supervisor = Supervisor(UpstreamBackend(settings), settings)
        await supervisor.start()
        try:
            if seconds == 20.0:
                await eventually(lambda: upstream.counts["progress"] >= 2, within=30)
            else:
                (found,) = await ended(job, within=50)
        finally:
            await supervisor.stop()
    assert found.status == "done"
    assert set(submits(upstream).values()) == {1}


async def test_a_short_recording_is_one_submission(upstream: ScriptedUpstream) -> None:
    job = await run(upstream, UPSTREAM_MAX_SECONDS=60.0)
    assert job.status == "done"
    assert await database.call(parts_of, job) == []
    assert submits(upstream) == {str(job.pk): 1}


@pytest.mark.parametrize(
    ("columns", "in_parts"),
    [
        ({"duration_seconds": 901.0}, True),
        ({"size_bytes": 201 * 2**20}, True),
        ({"duration_seconds": 900.0, "size_bytes": 200 * 2**20}, False),
        ({"duration_seconds": None}, False),
        # Begun as a whole, by an earlier version or under other limits: it is not paid for twice.
        ({"duration_seconds": 901.0, "attempt": 1}, False),
        ({"duration_seconds": 901.0, "attempt": 1, "upstream_id": "theirs"}, False),
    ],
)
def test_what_is_done_in_parts(columns: dict[str, Any], in_parts: bool) -> None:
    limits = Limits(seconds=900.0, size_bytes=200 * 2**20)
    assert needed(Job(**columns), limits) is in_parts
    assert not needed(Job(**columns), Limits())


def test_what_was_begun_in_parts_goes_on_so() -> None:
    job = Job(duration_seconds=60.0)
    job.upstream_id = str(job.pk)
    assert needed(job, Limits(seconds=900.0))


async def test_a_large_file_of_few_samples_is_sent_as_one_flac(upstream: ScriptedUpstream) -> None:
    """Its bytes are judged by what is sent."""
    job = await long_job()
    await database.call(lambda: Job.objects.filter(pk=job.pk).update(size_bytes=300_000_000))
    settings = relay(upstream, UPSTREAM_MAX_SECONDS=900.0)
    supervisor = Supervisor(UpstreamBackend(settings), settings)
    await supervisor.start()
    try:
        (found,) = await ended(job, within=50)
    finally:
        await supervisor.stop()
    assert found.status == "done"
    assert await database.call(parts_of, found) == []
    assert found.sent
    assert submits(upstream) == {str(job.pk): 1}


def test_a_lost_lease_writes_no_part() -> None:
    job = make_job()
    (lease,) = leases.claim("me", 1, 60.0)
    (part,) = parts.planned(lease, [(0, 100)])
    assert parts.planned(lease, [(0, 50), (50, 100)]) == [part]
    parts.update(lease, part, attempt=1)
    actions.cancel(job)
    with pytest.raises(LeaseLost):
        parts.update(lease, part, upstream_id="late")
    with pytest.raises(LeaseLost):
        parts.planned(lease, [])
    part.refresh_from_db()
    assert (part.attempt, part.upstream_id) == (1, "")
