"""An extension of the contract: DELETE /denoise/<id>."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from denoise_relay import access
from denoise_relay.models import ApiKey, Job
from tests.db.api.calls import ROOT, UNKNOWN_ID, call
from tests.db.factories import finish, stored_job


def test_a_job_is_deleted_once(secret: str, key: ApiKey) -> None:
    job = finish(stored_job(api_key=key))
    answers = [call(f"{ROOT}/{job.pk}", secret, method="DELETE") for _ in range(2)]
    assert [answer.status for answer in answers] == [204, 404]
    assert answers[0].body == b""
    assert not Job.objects.exists()
    assert call(ROOT, secret).json() == []


@pytest.mark.parametrize("job_id", [UNKNOWN_ID, "nonsense"])
def test_unknown_jobs(secret: str, job_id: str) -> None:
    answer = call(f"{ROOT}/{job_id}", secret, method="DELETE")
    assert (answer.status, answer.json()["errorCode"]) == (404, "40401")


def test_another_keys_job_is_not_found(secret: str) -> None:
    user = User.objects.create_user("ada")
    job = stored_job(owner=user)
    assert call(f"{ROOT}/{job.pk}", secret, method="DELETE").status == 404
    own = access.create_api_key("hers", user)
    assert call(f"{ROOT}/{job.pk}", own, method="DELETE").status == 204


def test_without_a_key_and_with_other_methods(secret: str, key: ApiKey) -> None:
    job = stored_job(api_key=key)
    assert call(f"{ROOT}/{job.pk}", "", method="DELETE").status == 401
    answer = call(f"{ROOT}/{job.pk}", secret)
    assert (answer.status, answer["Allow"]) == (405, "DELETE")
    assert Job.objects.exists()
