"""Lists and signed links ask the access policy, too."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.signing import TimestampSigner
from django.db.models import QuerySet
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from denoise_relay import access
from denoise_relay.access import Viewer
from denoise_relay.api import history, signed_urls
from denoise_relay.models import ApiKey, Job
from tests.db.factories import stored_job
from tests.db.requests import fetch

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("media")]
ROOT = "/api/v1/denoise"
asked: list[Job] = []


def odd_only(viewer: Viewer, job: Job, action: str) -> bool:
    """A policy without a filter."""
    asked.append(job)
    return job.file_name[0] in "13579"


def closed(viewer: Viewer, job: Job, action: str) -> bool:
    """A policy that closes the house."""
    return False


def filtered(viewer: Viewer, job: Job, action: str) -> bool:
    """A policy with a filter."""
    return odd_only(viewer, job, action)


def _odd_jobs(viewer: Viewer, jobs: QuerySet[Job]) -> QuerySet[Job]:
    return jobs.filter(file_name__regex=r"^[13579]")


filtered.filter_jobs = _odd_jobs  # type: ignore[attr-defined]


def use(policy: Any, settings: Settings) -> None:
    settings.DENOISE_RELAY = settings.DENOISE_RELAY | {
        "ACCESS_POLICY": f"{__name__}.{policy.__name__}"
    }


@pytest.fixture(autouse=True)
def _nothing_asked() -> None:
    asked.clear()


@pytest.fixture
def secret() -> str:
    return access.create_api_key("client", User.objects.create_user("owner"))


@pytest.fixture
def key(secret: str) -> ApiKey:
    return ApiKey.objects.select_related("user").get()


@pytest.fixture
def browser(key: ApiKey) -> Client:
    """The owner's."""
    client = Client()
    assert key.user is not None
    client.force_login(key.user)
    return client


def listed(secret: str, query: str = "") -> list[dict[str, Any]]:
    answer = fetch(ROOT + query, headers={"x-api-key": secret})
    assert answer.status == 200
    return answer.json()  # type: ignore[no-any-return]


def names(records: list[dict[str, Any]]) -> list[str]:
    return [record["file_name"] for record in records]


def nine_jobs(key: ApiKey) -> list[str]:
    """Makes 0.wav to 8.wav; returns the names that the policies show, newest first."""
    for number in range(9):
        stored_job(file_name=f"{number}.wav", api_key=key, owner=key.user)
    return ["7.wav", "5.wav", "3.wav", "1.wav"]


def test_a_policy_that_says_no_shows_nothing(
    secret: str, key: ApiKey, browser: Client, settings: Settings
) -> None:
    stored_job(file_name="secret.wav", api_key=key, owner=key.user)
    (before,) = listed(secret)
    link = before["original_audio_url"].removeprefix("http://testserver")
    assert fetch(link).status == 200

    use(closed, settings)

    assert listed(secret) == []
    assert "secret.wav" not in browser.get("/").content.decode()
    assert fetch(link).status == 404


@pytest.mark.parametrize("policy", [odd_only, filtered])
@pytest.mark.parametrize("page_size", [1, 2, 3, 500])
def test_lists_hold_what_the_policy_shows(
    policy: Any,
    page_size: int,
    secret: str,
    key: ApiKey,
    browser: Client,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use(policy, settings)
    monkeypatch.setattr(history, "PAGE_SIZE", page_size)
    shown = nine_jobs(key)

    assert names(listed(secret)) == shown
    for offset in range(6):
        for limit in range(1, 6):
            found = names(listed(secret, f"?offset={offset}&limit={limit}"))
            assert found == shown[offset : offset + limit]
    page = browser.get("/").content.decode()
    assert [f"{number}.wav" in page for number in range(9)] == [
        f"{number}.wav" in shown for number in range(9)
    ]


def test_pages_are_counted_without_what_is_hidden(
    key: ApiKey, browser: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("denoise_relay.views.upload.PAGE_SIZE", 2)
    use(odd_only, settings)
    nine_jobs(key)

    second = browser.get("/?page=2").content.decode()

    assert "1.wav" in second
    assert "3.wav" in second
    assert "page=3" not in second


def test_a_list_with_a_filter_is_one_query(
    secret: str,
    key: ApiKey,
    settings: Settings,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    use(filtered, settings)
    shown = nine_jobs(key)

    with django_assert_num_queries(2):  # the key, the list
        found = listed(secret)

    assert names(found) == shown
    assert asked == []


def test_a_list_without_a_filter_reads_what_the_policy_reads_in_its_query(
    secret: str,
    key: ApiKey,
    settings: Settings,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    use(odd_only, settings)
    nine_jobs(key)

    with django_assert_num_queries(2):
        listed(secret)

    with django_assert_num_queries(0):
        assert {(job.owner, job.api_key) for job in asked} == {(key.user, key)}


def test_the_default_policy_lists_in_one_query() -> None:
    assert access.filters_lists()


def link_of(job: Job, key: ApiKey) -> str:
    return f"{ROOT}/{job.pk}/audio/original?sig={signed_urls.signature(job.pk, 'original', key)}"


def test_a_link_ends_with_the_key_it_was_signed_for(key: ApiKey) -> None:
    job = stored_job(api_key=key, owner=key.user)
    other = ApiKey.objects.create(name="other", digest="other", user=key.user)
    mine, others = link_of(job, key), link_of(job, other)
    assert [fetch(mine).status, fetch(others).status] == [200, 200]

    ApiKey.objects.filter(pk=key.pk).update(revoked_at=timezone.now())
    assert [fetch(mine).status, fetch(others).status] == [404, 200]

    User.objects.update(is_active=False)
    assert fetch(others).status == 404


def test_a_link_cannot_be_moved_to_another_key(key: ApiKey) -> None:
    job = stored_job(api_key=key)
    other = ApiKey.objects.create(name="other", digest="other")
    link = link_of(job, other)
    assert fetch(link).status == 404

    assert fetch(link.replace(f"sig={other.pk}:", f"sig={key.pk}:")).status == 404
    assert fetch(link.replace(f"sig={other.pk}:", "sig=")).status == 404


def test_a_link_of_the_version_before_works_until_it_expires(
    key: ApiKey, settings: Settings
) -> None:
    job = stored_job(api_key=key)
    subject = f"{job.pk}.original"
    sig = TimestampSigner(salt="denoise_relay.views.links").sign(subject).removeprefix(subject)
    link = f"{ROOT}/{job.pk}/audio/original?sig={sig[1:]}"
    assert fetch(link).status == 200

    ApiKey.objects.update(revoked_at=timezone.now())
    assert fetch(link).status == 404
