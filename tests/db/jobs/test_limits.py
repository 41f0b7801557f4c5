"""How many jobs may wait: counted exactly, also when many come at the same time."""

from __future__ import annotations

import contextlib

import pytest
from django.contrib.auth.models import User
from pytest_django import Settings

from denoise_relay.exceptions import UploadDeferred
from denoise_relay.jobs import actions, enqueue
from denoise_relay.jobs.limits import Origin
from denoise_relay.journal import leases
from denoise_relay.lifecycle import Status
from denoise_relay.models import ApiKey, Job
from tests.db.checks import parallel
from tests.db.factories import append, end, finish, stored_job

pytestmark = pytest.mark.django_db
HERE, THERE = Origin(address="here"), Origin(address="there")


@pytest.fixture(autouse=True)
def _limits(settings: Settings) -> None:
    settings.DENOISE_RELAY = {
        "WORKER": "external",
        "MAX_WAITING_PER_OWNER": 3,
        "MAX_WAITING_PER_VISITOR": 2,
        "MAX_WAITING_PER_ADDRESS": 4,
    }


def submit(origin: Origin | None = HERE, **who: object) -> Job:
    job = Job(file_name="voice.wav", **who)
    job.original.name = "denoise/none/voice.wav"
    return enqueue.enqueue(job, origin)


def test_a_visitor_a_user_and_a_key_have_limits_of_their_own() -> None:
    user, key = User.objects.create_user("ada"), ApiKey.objects.create(name="k", digest="d")
    for number, who in [(2, {"visitor": "v"}), (3, {"owner": user}), (3, {"api_key": key})]:
        origin = Origin(address=str(who))
        for _ in range(number):
            submit(origin, **who)
        with pytest.raises(UploadDeferred, match=f"You have {number} recordings waiting"):
            submit(origin, **who)
    # The user's key is the user.
    with pytest.raises(UploadDeferred):
        submit(THERE, owner=user, api_key=key)


def test_an_address_has_one_for_all_its_visitors() -> None:
    for number in range(4):
        submit(HERE, visitor=f"v{number}")
    with pytest.raises(UploadDeferred, match="from your network"):
        submit(HERE, visitor="another")
    submit(THERE, visitor="another")
    submit(Origin(), visitor="of no known address")


def test_what_has_begun_or_ended_does_not_wait() -> None:
    one, other = (submit(visitor="v") for _ in range(2))
    (lease,) = leases.claim("worker", 1, 60)
    assert lease.job == one.pk
    append(one, None, epoch=lease.epoch, status=Status.PROCESSING)
    submit(visitor="v")
    with pytest.raises(UploadDeferred):
        submit(visitor="v")
    end(other)
    submit(visitor="v")


def test_the_sites_own_code_has_no_limit() -> None:
    for _ in range(6):
        submit(None, visitor="v")
    for _ in range(6):
        submit(None)


def test_zero_is_no_limit(settings: Settings) -> None:
    names = ("MAX_WAITING_PER_VISITOR", "MAX_WAITING_PER_ADDRESS")
    settings.DENOISE_RELAY = {"WORKER": "external", **dict.fromkeys(names, 0)}
    for _ in range(6):
        submit(visitor="v")


@pytest.mark.usefixtures("media")
def test_a_retry_counts_too() -> None:
    first = finish(stored_job(visitor="v"))
    for _ in range(2):
        actions.retry(first, origin=HERE)
    with pytest.raises(UploadDeferred):
        actions.retry(first, origin=HERE)
    actions.retry(first)  # in the admin


@pytest.mark.django_db(transaction=True)
def test_of_many_at_the_same_time_no_more_get_in() -> None:
    def attempt() -> None:
        with contextlib.suppress(UploadDeferred):
            submit(visitor="v")

    parallel([attempt] * 8)
    assert Job.objects.count() == 2
