"""*Try 30 seconds first*: the excerpt, the whole after it, and the files that they share."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.core.files import File
from django.db import connection, connections
from django.utils import timezone

from denoise_relay import engine
from denoise_relay.exceptions import UploadRejected
from denoise_relay.jobs import actions, excerpts, retention
from denoise_relay.models import Job, media_storage
from denoise_relay.presentation import status_of
from tests.db.factories import fail, finish
from tests.db.interviews import RATE, interview
from tests.unit.engine import material

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("media"),
    pytest.mark.skipif(not engine.available(), reason="needs the local engine"),
]


def submitted(content: bytes, **options: Any) -> Job:
    file = File(BytesIO(content), name="interview.wav")
    return actions.submit(file, excerpt=True, **options)


def stored(*names: str | None) -> list[bool]:
    return [media_storage().exists(name or "") for name in names]


def prune() -> Counter[Any]:
    tally: Counter[Any] = Counter()
    retention.prune_jobs(tally, days=1, dry_run=False, progress=lambda _tally: None)
    return tally


def age(*jobs: Job) -> None:
    past = timezone.now() - timedelta(days=3)
    Job.objects.filter(pk__in=[job.pk for job in jobs]).update(finished_at=past, created_at=past)


def test_an_excerpt_is_a_job_for_the_part_with_most_speech() -> None:
    job = submitted(interview())

    assert job.file_name == "interview-excerpt.flac"
    assert job.extension == "flac"
    assert job.duration_seconds == 30.0
    assert 36 <= (job.excerpt_start_seconds or 0) <= 40
    assert (job.whole_name, job.whole_duration_seconds) == ("interview.wav", 70.0)
    assert Path(job.whole.path).read_bytes() == interview()
    samples, rate = material.decode(Path(job.original.path))
    assert (samples.shape, rate) == ((1, 30 * RATE), RATE)
    assert job.size_bytes == Path(job.original.path).stat().st_size
    assert status_of(job)["excerpt"] == {
        "start": job.excerpt_start_seconds,
        "duration": 30.0,
        "whole": 70.0,
    }


def test_a_short_recording_is_denoised_whole(tmp_path: Path) -> None:
    short = material.make(tmp_path, "s16.wav", material.speech(RATE), rate=RATE)
    job = submitted(short.read_bytes())

    assert (job.file_name, job.duration_seconds) == ("interview.wav", 4.0)
    assert not job.whole
    with pytest.raises(ValueError, match="no excerpt"):
        actions.denoise_whole(job)


def test_no_excerpt_without_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excerpts, "available", lambda: False)
    with pytest.raises(UploadRejected) as caught:
        submitted(interview())
    assert caught.value.code == "no_excerpt"
    assert not Job.objects.exists()


def test_a_row_that_is_not_inserted_leaves_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Job] = []

    def broken(job: Job, _origin: object, **_more: object) -> Job:
        seen.append(job)
        raise RuntimeError("no database")

    monkeypatch.setattr(actions, "enqueue", broken)
    with pytest.raises(RuntimeError):
        submitted(interview())
    assert stored(seen[0].original.name, seen[0].whole.name) == [False, False]


def test_then_the_whole_once() -> None:
    excerpt = finish(submitted(interview()))
    whole = actions.denoise_whole(excerpt)

    assert whole.retry_of == excerpt
    assert (whole.file_name, whole.duration_seconds) == ("interview.wav", 70.0)
    assert whole.size_bytes == len(interview())
    assert whole.original.name == excerpt.whole.name
    assert not whole.whole
    assert actions.denoise_whole(excerpt) == whole


def test_a_whole_that_failed_may_be_asked_for_again() -> None:
    excerpt = finish(submitted(interview()))
    failed = fail(actions.denoise_whole(excerpt), "No")
    again = actions.retry(failed)

    assert actions.denoise_whole(excerpt) == again
    fail(again, "No")
    assert actions.denoise_whole(excerpt) not in (failed, again)


def test_an_excerpt_and_its_retry_make_one_whole_between_them() -> None:
    excerpt = finish(submitted(interview()))
    retried = finish(actions.retry(excerpt))
    assert retried.whole.name == excerpt.whole.name
    assert retried.excerpt_start_seconds == excerpt.excerpt_start_seconds
    made: list[Job] = []

    def ask(job: Job) -> None:
        try:
            made.append(actions.denoise_whole(job))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=ask, args=(job,)) for job in (excerpt, retried)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(made) == 2
    assert made[0] == made[1]
    connection.close()


def test_files_go_with_the_last_job_that_names_them() -> None:
    excerpt = finish(submitted(interview()))
    whole = finish(actions.denoise_whole(excerpt))

    age(excerpt)
    assert prune()["shared"] == 1
    assert stored(excerpt.original.name, excerpt.whole.name) == [False, True]
    age(whole)
    prune()
    assert stored(excerpt.whole.name) == [False]


def test_the_whole_stays_for_the_excerpt() -> None:
    excerpt = finish(submitted(interview()))
    whole = finish(actions.denoise_whole(excerpt))

    age(whole)
    assert prune()["shared"] == 1
    assert stored(excerpt.original.name, excerpt.whole.name) == [True, True]
    assert actions.denoise_whole(excerpt) != whole
