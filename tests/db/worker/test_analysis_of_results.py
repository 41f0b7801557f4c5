"""What the player needs is made of the result of every backend, by the engine itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from django.core.files.base import ContentFile

from denoise_relay import engine
from denoise_relay.backends.base import Result, Run
from denoise_relay.backends.local import LocalBackend
from denoise_relay.conf import RelaySettings
from denoise_relay.jobs import actions, validation
from denoise_relay.journal import segments
from denoise_relay.journal.leases import Lease
from denoise_relay.media import derived, waveforms
from denoise_relay.models import DerivedFile, Job, Segment
from denoise_relay.runtime import database
from denoise_relay.worker.supervisor import Supervisor
from tests.db.factories import make_job
from tests.db.scripted_backends import Scripted, finish, write_result
from tests.db.worker.working import QUICK, analysed, ended, new_job, stored, working
from tests.unit.engine import material
from tests.unit.engine.engine_runs import children as engines
from tests.waiting import eventually

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("media"),
    pytest.mark.skipif(not engine.available(), reason="needs the local engine"),
]
SETTINGS = replace(QUICK, ANALYSE_RESULTS=True)
SPEECH = (material.DATA / "speech.flac").read_bytes()


async def test_the_sample_from_upload_to_its_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[int] = []
    add = segments.add

    def note(lease: Lease, some: Sequence[engine.Segment], *, anew: bool) -> None:
        add(lease, some, anew=anew)
        shown.extend(segment.number for segment in some)

    monkeypatch.setattr(segments, "add", note)
    settings = RelaySettings(BACKEND="local", MAX_ENGINES=1)
    supervisor = Supervisor(LocalBackend(settings), settings)
    await supervisor.start()
    try:
        job = await actions.asubmit(validation.sample())
        (found,) = await ended(job, within=45)
        found = await analysed(found)
    finally:
        await supervisor.stop()

    assert found.status == "done"
    numbers = found.statistics
    assert set(numbers) == {"before", "after", "removed_gain", "noise_reduction_db"}
    for side in ("before", "after"):
        assert set(numbers[side]) == {
            "loudness_lufs",
            "true_peak_db",
            "noise_floor_db",
            "snr_db",
            "dnsmos",
        }
    before = await database.call(waveforms.known, found, "original")
    after = await database.call(waveforms.known, found, "denoised")
    assert before
    assert after
    assert (before.complete, after.complete) == (True, True)
    assert before.peaks.length == after.peaks.length > 0
    file = await database.call(DerivedFile.objects.get, job=found.pk, kind=derived.COMPARISON)
    assert (await engine.probe(file.file.path)).channels in (2, 4)
    assert shown[:1] == [0]
    assert not await database.call(Segment.objects.exists)
    assert engines() == set()


async def _speech(run: Run) -> Result:
    await run.accepted("upstream-1")
    return write_result(run, SPEECH)


async def test_the_result_of_any_backend_is_analysed() -> None:
    job = await database.call(_submitted_speech)
    async with working(Scripted(SETTINGS, _speech)):
        await ended(job)
        found = await analysed(job)

    # The same on both sides.
    assert found.statistics["before"] == found.statistics["after"]


def _submitted_speech() -> Job:
    job = make_job(file_name="speech.flac")
    job.original.save("speech.flac", ContentFile(SPEECH))
    return job


async def test_what_cannot_be_analysed_is_done_all_the_same(
    media: Path, caplog: pytest.LogCaptureFixture
) -> None:
    job = await new_job()
    async with working(Scripted(SETTINGS, finish)):
        (found,) = await ended(job)
        await eventually(lambda: "were not analysed" in caplog.text, within=30)

    assert (found.status, found.statistics) == ("done", None)
    assert stored(media) == [b"RIFF", b"clean"]
