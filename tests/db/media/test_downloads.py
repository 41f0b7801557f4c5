"""Downloads in other formats and mixes: what is offered, refused, and kept."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.template import Context, Template
from django.test import AsyncClient

from denoise_relay import engine, presentation
from denoise_relay.media import download_views, rendering
from denoise_relay.models import DerivedFile, Job
from tests.db.analyses import add_file
from tests.db.factories import fail, finish, stored_job
from tests.db.media.recordings import CONTENT
from tests.db.requests import Response, fetch

HTML = {"accept": "text/html,*/*"}


def url(job: Job, query: str = "") -> str:
    return f"{presentation.links_of(job).render}{query}"


def get(job: Job, client: AsyncClient, query: str = "", **headers: str) -> Response:
    return fetch(url(job, query), client=client, headers=headers)


@pytest.mark.parametrize("query", ["", "?format=flac", "?format=flac&mix=1", "?mix=0.99"])
def test_the_result_itself_is_not_made_again(job: Job, client: AsyncClient, query: str) -> None:
    answer = get(job, client, query)

    assert (answer.status, answer.body) == (200, CONTENT[::-1])
    assert answer["Content-Type"] == "audio/flac"
    assert answer["Content-Disposition"] == 'attachment; filename="voice-denoised.flac"'
    assert not DerivedFile.objects.exists()


@pytest.mark.parametrize(
    ("query", "kind", "name"),
    [
        ("?format=mp3", "mp3-1.00", "voice-denoised.mp3"),
        ("?format=mp3&mix=0.8", "mp3-0.80", "voice-denoised-80.mp3"),
        ("?format=wav&mix=0.776", "wav-0.80", "voice-denoised-80.wav"),
        ("?format=flac&mix=.05", "flac-0.05", "voice-denoised-5.flac"),
        ("?format=m4a&mix=0", "m4a-0.00", "voice-denoised-0.m4a"),
    ],
)
def test_what_was_made_is_sent_as_an_attachment_with_ranges(
    job: Job, client: AsyncClient, query: str, kind: str, name: str
) -> None:
    add_file(job, kind, b"0123456789", kind.partition("-")[0])

    answer = get(job, client, query)
    part = get(job, client, query, range="bytes=2-4")

    assert (answer.status, answer.body) == (200, b"0123456789")
    assert answer["Content-Disposition"] == f'attachment; filename="{name}"'
    assert answer["Cache-Control"] == "private, max-age=3600"
    assert (part.status, part.body) == (206, b"234")
    assert part["Content-Range"] == "bytes 2-4/10"
    assert fetch(url(job, query), client=client, method="HEAD")["Content-Length"] == "10"


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("?format=ogg", "flac, wav, mp3, m4a"),
        ("?format=MP3", "flac, wav, mp3, m4a"),
        ("?format=", "flac, wav, mp3, m4a"),
        ("?format=../x", "flac, wav, mp3, m4a"),
        ("?format=mp4", "no pictures"),
        ("?mix=2", "from 0"),
        ("?mix=-0.1", "from 0"),
        ("?mix=nan", "from 0"),
        ("?mix=", "from 0"),
        ("?mix=half", "from 0"),
        ("?mix=0." + "5" * 100, "from 0"),
    ],
)
def test_what_there_is_not_is_a_clear_sentence(
    job: Job, client: AsyncClient, query: str, says: str
) -> None:
    answer = get(job, client, query)
    page = get(job, client, query, **HTML)

    assert (answer.status, page.status) == (400, 400)
    assert says in answer.json()["message"]
    assert says in page.body.decode()
    assert "Refresh" not in page.headers


def test_unknown_forbidden_unfinished_and_elsewhere_get_the_same_answer(
    job: Job, client: AsyncClient
) -> None:
    add_file(job, "mp3-1.00", b"mp3", "mp3")
    elsewhere = finish(stored_job(owner=job.owner))
    Job.objects.filter(pk=elsewhere.pk).update(result="", result_url="https://cdn.example/a.wav")
    query = "?format=mp3"
    answers = [
        fetch(url(job, query).replace(str(job.pk), str(uuid4())), client=client),
        fetch(url(job, query)),
        get(stored_job(owner=job.owner), client, query),
        get(elsewhere, client, query),
    ]

    assert [answer.status for answer in answers] == [404] * len(answers)
    assert len({answer.body for answer in answers}) == 1


def test_other_methods_are_refused(job: Job, client: AsyncClient) -> None:
    answer = fetch(url(job), client=client, method="POST")
    assert (answer.status, answer["Allow"]) == (405, "GET, HEAD")


def test_the_engine_may_be_missing(
    job: Job, client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def missing(*args: object, **kwargs: object) -> engine.Rendering:
        raise engine.EngineUnavailable("av")

    monkeypatch.setattr(engine, "render", missing)
    answer = get(job, client, "?format=mp3")

    assert answer.status == 404
    assert answer.json()["message"] == "This site cannot make other formats of a recording."
    assert get(job, client, "?format=flac").status == 200


def test_too_many_at_a_time_are_asked_to_come_again(
    job: Job, client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rendering, "MOST_WANTED", 0)
    answer = get(job, client, "?format=mp3")
    page = get(job, client, "?format=mp3", **HTML)

    assert (answer.status, answer["Retry-After"], answer.json()["error"]) == (503, "15", "busy")
    assert (page.status, page["Refresh"]) == (503, "15")


def _links(job: Job) -> str:
    template = Template('{% include "denoise_relay/_downloads.html" %}')
    return template.render(Context({"job": job, "links": presentation.links_of(job)}))


def test_links_for_each_format(job: Job, owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    text = _links(job)
    for name in ("flac", "wav", "mp3", "m4a"):
        assert f'href="{url(job)}?format={name}" data-format="{name}"' in text
    assert "mp4" not in text
    video = finish(stored_job(CONTENT, owner=owner, file_name="talk.mp4", is_video=True))
    assert 'data-format="mp4"' in _links(video)
    assert 'data-format="mkv"' in _links(video)
    # A job's page has the panel for its end already.
    assert 'data-format="mp3"' in _links(stored_job(owner=owner))
    assert "<a" not in _links(fail(stored_job(owner=owner)))
    monkeypatch.setattr(engine, "available", lambda: False)
    assert _links(video).count("<a") == 1


@pytest.mark.parametrize("again", [True, False])
def test_the_page_needs_no_script(job: Job, client: AsyncClient, again: bool) -> None:
    """And says where to go back."""
    page = get(job, client, "?mix=2", **HTML).body.decode()
    assert f'href="{presentation.links_of(job).page}"' in page
    assert "<script>" not in page
    assert "style=" not in page
    assert download_views.RELOAD_SECONDS < download_views.WAIT_SECONDS
