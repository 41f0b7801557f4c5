"""What a key may do and see, and the answers without one."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import AsyncClient
from django.utils import timezone
from pytest_django import Settings

from denoise_relay import access
from denoise_relay.models import ApiKey
from tests.db.api.calls import ROOT, UNKNOWN_ID, call
from tests.db.factories import stored_job
from tests.db.requests import fetch


@pytest.mark.parametrize("header", [{}, {"x-api-key": ""}, {"x-api-key": "dr_wrong"}])
@pytest.mark.parametrize(
    ("method", "path"), [("GET", ""), ("POST", ""), ("GET", f"/{UNKNOWN_ID}/progress")]
)
@pytest.mark.django_db
def test_without_a_valid_key_nothing_opens(method: str, path: str, header: dict[str, str]) -> None:
    answer = fetch(ROOT + path, method=method, headers=header)

    assert answer.status == 401
    assert answer.json() == {"errorCode": "40101", "errorMessage": "Invalid or missing API key"}


def test_revoked_key_opens_nothing(secret: str, key: ApiKey) -> None:
    assert call(ROOT, secret).status == 200
    ApiKey.objects.update(revoked_at=timezone.now())

    assert call(ROOT, secret).status == 401


def test_a_session_without_a_key_is_refused(db: None) -> None:
    client = AsyncClient()
    client.force_login(User.objects.create_superuser("root"))

    assert fetch(ROOT, client=client).status == 401


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("DELETE", "", "GET, HEAD, POST"),
        ("POST", f"/{UNKNOWN_ID}/progress", "GET"),
        ("POST", f"/{UNKNOWN_ID}/audio/original", "GET, HEAD"),
    ],
)
def test_other_methods_get_the_allowed_ones(
    secret: str, method: str, path: str, allow: str
) -> None:
    answer = call(ROOT + path, secret, method=method)

    assert (answer.status, answer["Allow"]) == (405, allow)
    assert answer.json()["errorCode"] == "40501"


@pytest.mark.parametrize("job_id", [UNKNOWN_ID, "not-a-uuid", "1"])
def test_unknown_job_is_a_404_in_json(secret: str, job_id: str) -> None:
    answer = call(f"{ROOT}/{job_id}/progress", secret)

    assert answer.status == 404
    assert answer["Content-Type"] == "application/json"
    assert answer.json() == {"errorCode": "40401", "errorMessage": "No such record"}


def test_job_of_others_is_unknown_even_to_a_key_of_staff(db: None) -> None:
    root = User.objects.create_superuser("root")
    secret = access.create_api_key("root's", root)
    theirs = stored_job()

    answer = call(f"{ROOT}/{theirs.pk}/progress", secret)

    assert answer.status == 404
    assert answer.json() == call(f"{ROOT}/{uuid4()}/progress", secret).json()


def test_policy_of_the_site_decides(secret: str, key: ApiKey, settings: Settings) -> None:
    settings.DENOISE_RELAY = {
        **settings.DENOISE_RELAY,
        "ACCESS_POLICY": f"{__name__}.allow_nothing",
    }
    job = stored_job(api_key=key)

    assert call(f"{ROOT}/{job.pk}/progress", secret).status == 404


def allow_nothing(*_: object) -> bool:
    return False
