"""What can be read of a damaged recording is cleaned, and the job is done with a warning."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.test import Client

from denoise_relay import engine
from denoise_relay.api.history import record
from denoise_relay.backends.local import LocalBackend
from denoise_relay.conf import RelaySettings
from denoise_relay.exceptions import UploadRejected
from denoise_relay.jobs import actions
from denoise_relay.media import storage
from denoise_relay.models import Job
from denoise_relay.presentation import links_of
from denoise_relay.testing import tone_wav
from denoise_relay.worker.finishing import _missing
from denoise_relay.worker.supervisor import Supervisor
from tests import corpus
from tests.db.factories import finish, stored_job, with_warning
from tests.db.worker.test_conversion import ContractBackend, done_by
from tests.db.worker.working import ended

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("media"),
    pytest.mark.skipif(not engine.available(), reason="needs the local engine"),
]
STOPS = "The recording stops at 0:02, though its header announces 0:04."


def died() -> bytes:
    """A WAV file of 4 s, of which 2.4 s were written."""
    whole = tone_wav(4.0)
    return whole[: len(whole) * 6 // 10]


async def submitted(content: bytes, name: str = "died.wav", **more: bool) -> Job:
    return await actions.asubmit(ContentFile(content, name), **more)


async def test_a_backend_gets_what_can_be_read_and_people_are_told() -> None:
    job = await submitted(died())
    assert (job.damaged, job.announced_seconds) == (True, pytest.approx(4.0))
    assert job.duration_seconds == pytest.approx(2.4, abs=0.01)
    backend = ContractBackend()
    found = await done_by(backend, job)
    ((extension, sent, _size),) = backend.got
    assert (extension, sent[:4]) == ("flac", b"fLaC")
    assert found.warning == STOPS
    # What is made of it later is made of what could be read.
    assert storage.local_copy(found, Path("unused")).read_bytes() == sent
    again = await done_by(backend, await actions.aretry(found))
    assert (again.warning, again.sent) == (STOPS, found.sent)


async def test_the_local_engine_cleans_what_can_be_read() -> None:
    settings = RelaySettings(BACKEND="local", MAX_ENGINES=1, ANALYSE_RESULTS=False)
    job = await submitted(died())
    supervisor = Supervisor(LocalBackend(settings), settings)
    await supervisor.start()
    try:
        (found,) = await ended(job, within=50)
    finally:
        await supervisor.stop()
    assert found.status == "done", (found.message, found.error_detail)
    assert found.warning.startswith(STOPS)
    facts = await engine.probe(found.result.path)
    assert facts.duration_seconds == pytest.approx(2.4, abs=0.05)


async def test_an_excerpt_of_it_is_the_whole() -> None:
    whole = tone_wav(100.0)
    job = await submitted(whole[: len(whole) * 6 // 10], excerpt=True)
    assert (job.damaged, job.whole.name) == (True, "")


@pytest.mark.parametrize(
    ("name", "share", "words"),
    [("film.mp4", 0.9, "before its index was written"), ("pcm.wav", 0.1, "incomplete")],
)
async def test_what_cannot_be_rescued_is_refused(name: str, share: float, words: str) -> None:
    content = tone_wav(4.0) if name == "pcm.wav" else corpus.content(name)
    with pytest.raises(UploadRejected, match=words) as refused:
        await submitted(content[: int(len(content) * share)], name)
    assert refused.value.code == "truncated"


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ({}, ""),
        (
            {"damaged": True, "duration_seconds": 760.0, "announced_seconds": 1867.0},
            "The recording stops at 12:40, though its header announces 31:07.",
        ),
        (
            {"damaged": True, "duration_seconds": 760.0},
            "The recording is damaged: only 12:40 of it could be read.",
        ),
    ],
)
def test_the_words(columns: dict[str, float], text: str) -> None:
    assert _missing(Job(**columns)) == text


def test_the_warning_is_on_the_page_in_json_api_and_admin(admin_client: Client) -> None:
    job = with_warning(finish(stored_job(damaged=True, announced_seconds=4.0)), STOPS)
    page = admin_client.get(links_of(job).page).content.decode()
    assert STOPS in page
    assert admin_client.get(links_of(job).status).json()["warning"] == STOPS
    assert record(job, lambda *_: "https://example.com/a")["warning"] == STOPS
    admin = admin_client.get(f"/admin/denoise_relay/job/{job.pk}/change/").content.decode()
    assert STOPS in admin
