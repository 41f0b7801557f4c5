"""Jobs in words and links, and the template tag."""

from __future__ import annotations

import json
import re

import pytest
from django.template import Context, Template

from denoise_relay import presentation
from denoise_relay.models import Job
from tests.db.factories import finish, stored_job

pytestmark = pytest.mark.django_db


def test_a_passed_through_result_is_linked_only_if_it_is_an_address() -> None:
    job = Job(stage="done", result_url="https://cdn.example/a.wav")
    assert presentation.links_of(job).denoised == "https://cdn.example/a.wav"
    job.result_url = "javascript:alert(1)"
    assert presentation.links_of(job).denoised == f"/jobs/{job.pk}/audio/denoised/"


def test_the_tag_stands_alone_in_any_template() -> None:
    jobs = [stored_job(file_name="a.wav"), finish(stored_job(file_name="b.wav"))]
    source = "{% load denoise_relay %}{% for job in jobs %}{% denoise_job job %}{% endfor %}"
    html = Template(source).render(Context({"jobs": jobs}))
    assert re.findall(r'data-job="([^"]+)"', html) == [str(job.pk) for job in jobs]
    texts = re.search(r'data-texts="([^"]+)"', html)
    assert texts
    assert json.loads(texts[1].replace("&quot;", '"'))["status"]["done"] == "Done"


def test_the_tag_without_controls_offers_no_changes() -> None:
    job = stored_job()
    source = "{% load denoise_relay %}{% denoise_job job controls=False %}"
    # (The player's help is closed by a form that is sent nowhere.)
    assert 'method="post"' not in Template(source).render(Context({"job": job}))


def test_a_row_links_to_its_job() -> None:
    job = stored_job()
    source = '{% load denoise_relay %}{% denoise_job job "row" %}'
    html = Template(source).render(Context({"job": job}))
    assert f'href="/jobs/{job.pk}/"' in html
    assert "<template" not in html


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, ""), (0.0, "0:00"), (65.2, "1:05"), (3661.0, "1:01:01")],
)
def test_clock(seconds: float | None, text: str) -> None:
    assert presentation.clock(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"), [(200 * 1024**2, "200 MB"), (int(1.5 * 1024**2), "1.5 MB")]
)
def test_size(size: int, text: str) -> None:
    assert presentation.size(size).replace("\xa0", " ") == text


@pytest.mark.parametrize(
    ("name", "denoised"),
    [("a.talk.mp4", "a.talk-denoised.wav"), ("voice", "voice-denoised.wav")],
)
def test_denoised_name(name: str, denoised: str) -> None:
    assert presentation.denoised_name(Job(file_name=name)) == denoised
