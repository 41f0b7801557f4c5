"""`submit` inside a transaction of the site is part of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.db import transaction

from denoise_relay import engine
from denoise_relay.jobs import actions
from denoise_relay.journal import leases
from denoise_relay.models import Event, Job
from denoise_relay.pubsub import publisher
from tests.db.jobs.test_validation import tone

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("media")]


@pytest.fixture(autouse=True)
def published(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of the events of which anybody was told."""
    numbers: list[int] = []
    monkeypatch.setattr(engine, "available", lambda *_: False)
    monkeypatch.setattr(
        publisher, "publish_soon", lambda events: numbers.extend(event.seq for event in events)
    )
    return numbers


def submit() -> Job:
    return actions.submit(ContentFile(tone(), "a.wav"))


@contextlib.contextmanager
def rolled_back() -> Iterator[None]:
    """A transaction, or a savepoint, of the site that it takes back."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def test_a_job_is_committed_with_the_rows_of_the_site(published: list[int]) -> None:
    with transaction.atomic():
        User.objects.create_user("ada")
        job = submit()
        # Nobody is told before the commit, and no worker can see it.
        assert published == []
    assert published == [1]
    assert (User.objects.count(), Job.objects.get()) == (1, job)
    assert leases.claim("me", 9, 60) == [leases.Lease(job=job.pk, epoch=1)]


def test_a_rollback_leaves_neither(published: list[int]) -> None:
    with rolled_back():
        User.objects.create_user("ada")
        submit()
    assert published == []
    assert [model.objects.count() for model in (User, Job, Event)] == [0, 0, 0]
    assert leases.claim("me", 9, 60) == []


def test_a_savepoint_that_rolls_back_takes_only_its_job_along(published: list[int]) -> None:
    with transaction.atomic():
        kept = submit()
        with rolled_back():
            submit()
    assert list(Job.objects.all()) == [kept]
    assert published == [1]
    assert Path(kept.original.path).read_bytes() == tone()


def test_what_follows_a_job_is_in_the_transaction_too(published: list[int]) -> None:
    job = submit()
    with rolled_back():
        assert actions.cancel(job)
        actions.retry(job)
    job.refresh_from_db()
    assert (job.status, Job.objects.count(), published) == ("queued", 1, [1])
