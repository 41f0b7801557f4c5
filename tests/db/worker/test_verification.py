"""A result that is no result is never simply done, whichever backend made it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from django.core.files.base import ContentFile

from denoise_relay import engine
from denoise_relay.backends.base import Result, Run
from denoise_relay.backends.local import LocalBackend
from denoise_relay.conf import RelaySettings
from denoise_relay.jobs import actions
from denoise_relay.models import Event, Job
from denoise_relay.presentation import status_of
from denoise_relay.runtime import database
from denoise_relay.testing import tone_wav
from denoise_relay.worker.supervisor import Supervisor
from tests.db.factories import make_job
from tests.db.scripted_backends import Scripted, finish
from tests.db.worker.working import ended
from tests.unit.engine import material
from tests.unit.engine.engine_runs import children as engines
from tests.unit.engine.quality.cases import Case
from tests.waiting import eventually

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("media"),
    pytest.mark.skipif(not engine.available(), reason="needs the local engine"),
]
SETTINGS = RelaySettings(MAX_ENGINES=1)
SPEECH = (material.DATA / "speech.flac").read_bytes()
SILENCE = tone_wav(4.0)[:44] + bytes(2 * 4 * 48_000)


class Careless(Scripted):
    """One whose results cost nothing."""

    keeps_bad_results: ClassVar[bool] = False


def returning(content: bytes) -> Callable[[Run], Awaitable[Result]]:
    """A backend's behaviour: whatever it gets, it returns this."""

    async def behaviour(run: Run) -> Result:
        await run.accepted(str(run.assignment.job))
        file = run.assignment.workspace / "result.wav"
        file.write_bytes(content)
        return Result(file=file)

    return behaviour


async def run(
    backend: Any, content: bytes = SPEECH, name: str = "voice.flac", preset: str = ""
) -> Job:
    """A job of this recording, after its end."""
    job = await database.call(make_job, file_name=name, preset=preset)
    await database.call(job.original.save, name, ContentFile(content))
    supervisor = Supervisor(backend, backend.settings)
    await supervisor.start()
    try:
        (found,) = await ended(job)
    finally:
        await supervisor.stop()
    return found


def last_event(job: Job) -> Event:
    return job.events.latest("seq")


async def test_a_good_result_has_no_warning() -> None:
    job = await run(Scripted(SETTINGS, returning(SPEECH)))
    event = await database.call(last_event, job)
    assert (job.status, job.warning, event.warning) == ("done", "", "")
    messages = await database.call(lambda: list(job.events.values_list("message", flat=True)))
    assert "Checking the result" in messages


@pytest.mark.parametrize(
    ("content", "words"),
    [(SILENCE, "lost the voice"), (SPEECH[:1000], "cannot be played"), (tone_wav(), "as long")],
    ids=["silence", "rubbish", "too short"],
)
async def test_a_bad_result_that_was_paid_for_is_kept_with_a_warning(
    content: bytes, words: str
) -> None:
    job = await run(Scripted(SETTINGS, returning(content)))
    event = await database.call(last_event, job)
    assert (job.status, job.message) == ("done", "Done")
    assert words in job.warning
    assert event.warning == job.warning
    assert Path(job.result.path).read_bytes() == content
    assert status_of(job)["warning"] == job.warning


async def test_a_bad_result_that_cost_nothing_is_an_error() -> None:
    job = await run(Careless(SETTINGS, returning(SILENCE)))
    assert (job.status, job.result.name) == ("error", "")
    assert job.message == ("This recording could not be processed: the result was not good enough.")
    assert job.error_detail.startswith("silent_result: playable True, before_seconds 4.0")


@pytest.mark.skipif(not engine.available("fast"), reason="needs the preset fast")
async def test_the_local_engine_is_not_taken_at_its_word(tmp_path: Path) -> None:
    """NSNet 2 takes a call that was recorded at a high rate for noise."""
    case = Case(narrowband=True)
    call = material.make(tmp_path, "s16.wav", case.recording(), rate=case.rate)
    job = await run(LocalBackend(SETTINGS), call.read_bytes(), "call.wav", preset="fast")
    assert job.status == "error"
    assert "silent_result" in job.error_detail


async def test_a_result_that_goes_silent_is_kept_with_a_warning(tmp_path: Path) -> None:
    """Two thirds of the speech are there, so its level fell by no more than 2 dB."""
    speech, silence = material.speech(), np.zeros(len(material.speech()))
    before = material.make(tmp_path, "s16.wav", np.concatenate([speech] * 3), rate=48_000)
    recording = before.read_bytes()
    after = material.make(
        tmp_path, "s16.wav", np.concatenate([speech, speech, silence]), rate=48_000
    )
    job = await run(Scripted(SETTINGS, returning(after.read_bytes())), recording, "voice.wav")
    assert job.status == "done"
    assert "partly silent" in job.warning


async def test_music_is_done_with_a_warning() -> None:
    """The local engine removes all of it, which is right."""
    job = await run(LocalBackend(SETTINGS), tone_wav(4.0), "tone.wav")
    assert job.status == "done"
    assert job.warning.startswith("No speech was found in this recording.")


async def test_a_recording_that_only_the_backend_reads_is_done() -> None:
    job = await run(Scripted(SETTINGS, finish), b"of a kind that the engine does not know")
    assert (job.status, job.warning) == ("done", "")


async def test_a_cancel_ends_the_comparison() -> None:
    """And the analysis beside it, and leaves no child process behind."""
    job = await database.call(make_job, file_name="long.wav")
    await database.call(job.original.save, "long.wav", ContentFile(tone_wav(1800.0)))
    supervisor = Supervisor(Scripted(SETTINGS, returning(SPEECH)), SETTINGS)
    await supervisor.start()
    try:
        await eventually(engines, within=20)
        await database.call(actions.cancel, job)
        await eventually(lambda: not engines(), within=20)
        await eventually(lambda: not supervisor.running, within=20)
        (found,) = await ended(job)
    finally:
        await supervisor.stop()
    assert (found.status, found.result.name) == ("canceled", "")


async def test_a_result_that_was_paid_for_outlives_a_comparison_that_has_no_time() -> None:
    """It came shortly before the deadline, and its comparison takes longer than what is left."""
    relay = replace(SETTINGS, JOB_DEADLINE_SECONDS=8.0)
    job = await run(Scripted(relay, returning(SPEECH)), tone_wav(1800.0), "long.wav")
    assert (job.status, job.message, job.warning) == ("done", "Done", "")


async def test_the_setting_turns_it_off() -> None:
    relay = replace(SETTINGS, VERIFY_RESULTS=False)
    job = await run(Scripted(relay, returning(SILENCE)))
    assert (job.status, job.warning) == ("done", "")
