"""The strength and the loudness that people chose, applied to the result of any backend."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.files.base import ContentFile

from denoise_relay import engine
from denoise_relay.backends.base import Result, Run
from denoise_relay.exceptions import JobFailed
from denoise_relay.runtime import database
from tests.db.factories import make_job
from tests.db.scripted_backends import Scripted, finish, write_result
from tests.db.worker.working import QUICK, ended, new_job, working
from tests.unit.engine import material

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("media"),
    pytest.mark.skipif(not engine.available(), reason="needs the local engine"),
]
WARNING = "The strength or loudness that you chose could not be applied."


@dataclass
class Renderer:
    """Stands for `engine.render`."""

    error: Exception | None = None
    calls: list[dict[str, Any]] = field(default_factory=list)

    async def __call__(self, before: Path, after: Path, target: Path, **options: Any) -> None:
        options.pop("timeout_seconds")
        self.calls.append({"before": before.read_bytes(), "after": after.read_bytes(), **options})
        if self.error:
            raise self.error
        target.write_bytes(b"as chosen")


@pytest.fixture
def renderer(monkeypatch: pytest.MonkeyPatch) -> Renderer:
    found = Renderer()
    monkeypatch.setattr(engine, "render", found)
    return found


async def test_the_result_becomes_what_was_chosen(renderer: Renderer) -> None:
    job = await new_job(max_attenuation_db=12.0, loudness_lufs=-16.0)
    async with working(Scripted(QUICK, finish)):
        (found,) = await ended(job)

    assert renderer.calls == [
        {
            "before": b"RIFF",
            "after": b"clean",
            "max_attenuation_db": 12.0,
            "loudness_lufs": -16.0,
        }
    ]
    assert (found.status, found.warning) == ("done", "")
    assert Path(found.result.path).read_bytes() == b"as chosen"
    assert found.result.path.endswith(".flac")


async def test_nothing_is_done_where_nothing_was_chosen(renderer: Renderer) -> None:
    job = await new_job()
    async with working(Scripted(QUICK, finish)):
        (found,) = await ended(job)

    assert renderer.calls == []
    assert Path(found.result.path).read_bytes() == b"clean"


@pytest.mark.parametrize(
    "error",
    [
        engine.EngineCrashed("killed"),
        engine.EngineUnavailable("av"),
        engine.MediaRejected("not_media"),
        OSError("disk full"),
        TimeoutError(),
    ],
)
async def test_a_result_that_cannot_be_changed_is_kept_with_a_warning(
    renderer: Renderer, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    renderer.error = error
    job = await new_job(loudness_lufs=-16.0)
    async with working(Scripted(QUICK, finish)):
        (found,) = await ended(job)

    assert (found.status, found.warning) == ("done", WARNING)
    assert Path(found.result.path).read_bytes() == b"clean"
    assert "were not applied" in caplog.text


async def test_a_job_that_fails_has_nothing_to_change(renderer: Renderer) -> None:
    async def fail(run: Any) -> Any:
        raise JobFailed("No.")

    job = await database.call(make_job, loudness_lufs=-16.0)
    async with working(Scripted(QUICK, fail)):
        (found,) = await ended(job)

    assert (found.status, renderer.calls) == ("error", [])


async def test_what_was_removed_is_lowered_by_so_much_and_not_more(tmp_path: Path) -> None:
    """6 dB: of what the backend has removed, all of it here, half is in the file that is stored."""
    speech = material.speech()
    recording = material.make(tmp_path, "a.flac", speech, rate=48_000)
    content = ContentFile(recording.read_bytes())
    silence = material.make(tmp_path, "a.flac", np.zeros_like(speech), rate=48_000)
    job = await new_job(max_attenuation_db=20 * math.log10(2))
    await database.call(job.original.save, "speech.flac", content)

    async def remove_everything(run: Run) -> Result:
        await run.accepted("u")
        return write_result(run, silence.read_bytes())

    async with working(Scripted(QUICK, remove_everything)):
        (found,) = await ended(job, within=60)

    stored, rate = material.decode(Path(found.result.path))
    assert (found.status, found.warning, rate) == ("done", "", 48_000)
    assert np.abs(stored - speech / 2).max() < 1e-3
