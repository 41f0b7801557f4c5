"""An upstream relay shows what it cleans; whatever it says, the job goes on."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest

from denoise_relay.backends.upstream import previews
from denoise_relay.testing import Answer, ScriptedUpstream, answers
from tests.contract.runs import NewBackend, NewRun, RecordedRun
from tests.waiting import eventually

PIXELS = 750
HEADERS = {"Denoise-Relay-Extensions": "preview"}
BEGUN = answers.raw(
    answers.head(200, answers.STREAM_HEADERS | HEADERS) + answers.processing(10, "Cleaning")
)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(previews, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(previews, "LONGEST_PAUSE_SECONDS", 0.02)


@pytest.fixture
def relay(upstream: ScriptedUpstream) -> ScriptedUpstream:
    """It announces the extension, and its job goes on for as long as a test takes."""
    upstream.extensions = ("preview",)
    upstream.on_progress(BEGUN + answers.silence())
    return upstream


@contextlib.asynccontextmanager
async def following(
    relay: ScriptedUpstream, new_backend: NewBackend, run: RecordedRun
) -> AsyncIterator[asyncio.Task[Any]]:
    """The backend at work, until the end of the block."""
    backend = new_backend(UPSTREAM_SILENCE_SECONDS=30)
    task = asyncio.create_task(backend.run(run))
    try:
        await eventually(lambda: run.percents)
        yield task
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def waveform(count: int, **changes: Any) -> Answer:
    """The waveform of so many segments; those of segment n are (-n, n)."""
    data = itertools.chain.from_iterable([-n, n] * PIXELS for n in range(count))
    body: dict[str, Any] = {
        "version": 2,
        "channels": 1,
        "sample_rate": 48_000,
        "samples_per_pixel": 256,
        "bits": 8,
        "length": count * PIXELS,
        "data": list(data),
        "first": 0,
        "complete": False,
        "segments": count,
        "segment_seconds": 4.0,
    }
    return answers.json_body(200, body | changes, HEADERS)


def audio(content: bytes = b"fLaC") -> Answer:
    return answers.body(200, content, "audio/flac", HEADERS)


def polls(relay: ScriptedUpstream) -> int:
    return sum("waveform" in seen.path for seen in relay.requests("extra"))


async def test_segments_are_shown_as_they_come(
    relay: ScriptedUpstream, new_backend: NewBackend, new_run: NewRun
) -> None:
    run = new_run()
    async with following(relay, new_backend, run):
        await eventually(lambda: polls(relay) > 2)  # nothing there yet: 404
        relay.extras |= {f"preview/{n}": audio(b"fLaC %d" % n) for n in range(3)}
        relay.extras["waveform/denoised"] = waveform(2)
        await eventually(lambda: len(run.previews) == 2)
        # From the third segment on, of which there is only a part.
        relay.extras["waveform/denoised"] = waveform(
            0, first=2 * PIXELS, data=[-9, 9] * 5, segments=3
        )
        await eventually(lambda: len(run.previews) == 3)
        relay.extras["waveform/denoised"] = waveform(0, complete=True)
        await eventually(lambda: "denoise-upstream-preview" not in str(asyncio.all_tasks()))

    assert [(s.number, s.audio) for s in run.previews] == [
        (0, b"fLaC 0"),
        (1, b"fLaC 1"),
        (2, b"fLaC 2"),
    ]
    assert run.previews[1].peaks == b"\xff\x01" * PIXELS
    assert (run.previews[1].duration_seconds, run.previews[1].samples_per_pixel) == (4.0, 256)
    assert run.previews[2].peaks == b"\xf7\x09" * 5
    asked = relay.requests("extra")
    assert {seen.headers["denoise-relay-extensions"] for seen in asked} == {"preview"}
    assert any(seen.query.get("from") == str(2 * PIXELS) for seen in asked)


@pytest.mark.parametrize(
    "answer",
    [
        answers.error(500),
        answers.reset(),
        answers.body(200, b"<html>", "text/html"),
        answers.json_body(200, {"data": "many"}),
        answers.body(200, b"[" * 100_000, "application/json"),
        answers.body(200, b"x" * (previews.WAVEFORM_BYTES + 1), "application/json"),
        waveform(1, data=[1000, 1]),
        waveform(1, data=[1]),
        waveform(1, data=[]),
        waveform(1, first=5),
        waveform(1, sample_rate=0),
        waveform(1, sample_rate=10**30),
        waveform(1, samples_per_pixel=0),
        waveform(1, samples_per_pixel=10**9),
        waveform(1, segments=10**9),
        waveform(1, segment_seconds=1e9),
        waveform(1, segment_seconds=-1),
    ],
)
async def test_nonsense_ends_the_preview_and_not_the_job(
    relay: ScriptedUpstream,
    new_backend: NewBackend,
    new_run: NewRun,
    answer: Answer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    relay.extras |= {"waveform/denoised": answer, "preview/0": audio()}
    run = new_run()
    async with following(relay, new_backend, run):
        await eventually(lambda: "upstream_preview_stopped" in caplog.text)
    assert run.previews == []
    assert caplog.text.count("upstream_preview_stopped") == 1


@pytest.mark.parametrize(
    "answer",
    [answers.error(404), audio(b"MThd"), audio(b"fLaC" + bytes(previews.AUDIO_BYTES))],
)
async def test_sound_that_is_none_ends_it(
    relay: ScriptedUpstream,
    new_backend: NewBackend,
    new_run: NewRun,
    answer: Answer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    relay.extras |= {"waveform/denoised": waveform(1), "preview/0": answer}
    run = new_run()
    async with following(relay, new_backend, run):
        await eventually(lambda: "upstream_preview_stopped" in caplog.text)
    assert run.previews == []


@pytest.mark.parametrize("wanted", [True, False])
async def test_nobody_is_asked_who_does_not_offer_it_or_where_it_is_not_wanted(
    upstream: ScriptedUpstream, new_backend: NewBackend, new_run: NewRun, wanted: bool
) -> None:
    upstream.extensions = () if wanted else ("preview",)
    run = new_run()
    run.shows_previews = wanted
    await new_backend().run(run)
    assert upstream.requests("extra") == []


async def test_the_end_of_the_job_ends_it(
    relay: ScriptedUpstream, new_backend: NewBackend, new_run: NewRun
) -> None:
    relay.forget_scripts()
    relay.extras["waveform/denoised"] = waveform(0)
    await new_backend().run(new_run())
    assert "denoise-upstream-preview" not in str(asyncio.all_tasks())
