"""GET /denoise/<id>/audio/<kind>: recordings by signed URL."""

from __future__ import annotations

import re
from typing import Any

import pytest

from denoise_relay.api import signed_urls
from denoise_relay.models import ApiKey, Job
from tests.db.api.calls import ROOT, UNKNOWN_ID
from tests.db.factories import finish, stored_job
from tests.db.requests import fetch


@pytest.fixture
def link(key: ApiKey) -> str:
    job = finish(stored_job(api_key=key))
    return f"{ROOT}/{job.pk}/audio/denoised?sig={signed_urls.signature(job.pk, 'denoised', key)}"


def test_link_needs_no_key_and_has_ranges(link: str) -> None:
    answer = fetch(link, headers={"range": "bytes=2-4"})

    assert (answer.status, answer.body) == (206, b"noi")
    assert answer["Content-Type"] == "audio/flac"
    assert fetch(link, method="HEAD")["Content-Length"] == str(len(b"denoised bytes"))


@pytest.mark.parametrize(
    "forge",
    [
        lambda link: link.replace("/denoised", "/original"),
        lambda link: link.replace(ROOT, f"{ROOT}/x", 1),
        lambda link: link.partition("?")[0],
        lambda link: link[:-1] + ("A" if link[-1] != "A" else "B"),
        lambda link: link.replace("sig=", "sig=1"),
        lambda link: re.sub(r"[0-9a-f-]{36}", UNKNOWN_ID, link),
    ],
)
def test_forged_link_is_the_404_of_everything_unknown(link: str, forge: Any) -> None:
    answer = fetch(forge(link))

    assert answer.status == 404


def test_expired_link_opens_nothing(link: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signed_urls, "LIFETIME_SECONDS", -1)

    answer = fetch(link)

    assert answer.status == 404
    assert answer.json()["errorCode"] == "40401"


def test_link_of_a_deleted_job_opens_nothing(link: str) -> None:
    Job.objects.all().delete()

    assert fetch(link).status == 404
