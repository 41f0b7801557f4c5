"""What another relay shows of a job while it runs; a stranger is asked for nothing of it."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
from collections.abc import AsyncIterator

import av
import numpy as np
import pytest
from av.audio.frame import AudioFrame

from denoise_relay.backends.upstream import UpstreamBackend, previews
from denoise_relay.backends.upstream.segments import MAX_AUDIO_BYTES
from denoise_relay.exceptions import LeaseLost
from denoise_relay.testing import Answer, ScriptedUpstream, answers
from denoise_relay.testing.answers import SEGMENT_PIXELS
from tests.contract.runs import NewBackend, NewRun, RecordedRun
from tests.waiting import eventually

#: What a relay says in each answer, and so in scripted ones.
SAYS = {"Denoise-Relay-Extensions": "preview"}


def flac(seconds: float = 4.0, rate: int = 24_000, layout: str = "mono") -> bytes:
    """A soft noise."""
    file = io.BytesIO()
    channels = 1 if layout == "mono" else 2
    size = (1, round(seconds * rate) * channels)
    samples = np.random.default_rng(1).integers(-99, 99, size, np.int16)
    with av.open(file, "w", format="flac") as container:
        stream = container.add_stream("flac", rate=rate, layout=layout)
        frame = AudioFrame.from_ndarray(samples, "s16", layout)
        frame.sample_rate = rate
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


WHOLE = flac()


@pytest.fixture
def relay(upstream: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch) -> ScriptedUpstream:
    """A relay with a job that goes on until `forget_scripts`."""
    monkeypatch.setattr(previews, "PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(previews, "LONGEST_PAUSE_SECONDS", 0.02)
    upstream.extensions = ("preview",)
    upstream.on_progress(*streams(SAYS))
    return upstream


def streams(headers: dict[str, str] | None = None) -> list[Answer]:
    """Connections with ten events each, 30 ms apart."""
    found = []
    for first in range(0, 900, 10):
        events = [answers.processing((first + n) / 10) for n in range(10)]
        steps = [answers.raw(event) + answers.silence(0.03) for event in events]
        found.append(sum(steps, answers.stream(headers=headers)))
    return found


@contextlib.asynccontextmanager
async def following(
    relay: ScriptedUpstream, backend: UpstreamBackend, run: RecordedRun
) -> AsyncIterator[asyncio.Task[object]]:
    """Run a job; at the end of the block the upstream is done, and so must the job be."""
    job: asyncio.Task[object] = asyncio.create_task(backend.run(run), name="job")
    yield job
    relay.forget_scripts()
    await asyncio.wait_for(job, 10)
    assert not [task for task in asyncio.all_tasks() if "preview" in task.get_name()]


async def test_segments_are_shown_as_they_come(
    relay: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    run = new_run()
    async with following(relay, backend, run):
        await eventually(lambda: relay.counts["waveform"] >= 2)
        assert run.previews == []
        relay.segments += [WHOLE, WHOLE]
        await eventually(lambda: len(run.previews) == 2)
        relay.segments += [flac(rate=16_000)] * 20
        await eventually(lambda: len(run.previews) == 22)

    assert [found.number for found in run.previews] == list(range(22))
    assert [found.audio for found in run.previews] == relay.segments
    first, second, *_ = run.previews
    assert first.peaks == bytes(2 * SEGMENT_PIXELS)
    assert second.peaks == b"\xff\x01" * SEGMENT_PIXELS
    assert (first.duration_seconds, first.sample_rate, first.samples_per_pixel) == (4, 48_000, 256)
    # Each was fetched once, and asked for as a relay asks.
    assert relay.counts["preview"] == 22
    asked = relay.requests("waveform") + relay.requests("preview")
    assert {seen.headers["denoise-relay-extensions"] for seen in asked} == {"preview"}
    assert {seen.headers["x-api-key"] for seen in asked} == {relay.key}


async def test_a_stranger_is_never_asked(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    run = new_run()
    await backend.run(run)
    assert set(upstream.counts) == {"submit", "progress", "result"}
    assert not [seen for seen in upstream.seen if "denoise-relay-extensions" in seen.headers]
    assert {15, 62} <= set(run.percents)


async def test_nobody_is_asked_where_nobody_would_see_it(
    relay: ScriptedUpstream, new_backend: NewBackend, new_run: NewRun
) -> None:
    """With `PREVIEW` off, and for a part of a recording."""
    relay.segments = [WHOLE]
    runs = [new_run(), new_run(previews=False)]
    jobs = [(new_backend(PREVIEW=False), runs[0]), (new_backend(), runs[1])]
    async with contextlib.AsyncExitStack() as stack:
        for backend, run in jobs:
            await stack.enter_async_context(following(relay, backend, run))
        await eventually(lambda: all(len(set(run.percents)) >= 3 for run in runs))
    assert (relay.counts["waveform"], runs[0].previews, runs[1].previews) == (0, [], [])


async def test_what_was_a_relay_is_asked_no_more_when_it_is_none(
    relay: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    relay.segments = [WHOLE]
    run = new_run()
    async with following(relay, backend, run):
        await eventually(lambda: run.previews)
        relay.forget_scripts()
        relay.extensions = ()
        relay.on_progress(*streams())
        await eventually(lambda: "preview" not in backend._client.extensions)
        asked = relay.counts["waveform"]
        relay.segments += [WHOLE]
        reports = run.report_count
        await eventually(lambda: run.report_count > reports + 5)
        assert relay.counts["waveform"] <= asked + 1  # one may have been on its way
    assert len(run.previews) == 1


async def test_a_takeover_asks_from_the_beginning(
    relay: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    record = relay.add_record("a.wav")
    relay.segments = [WHOLE, WHOLE]
    run = new_run(attempt=1, upstream_id=record.id)
    async with following(relay, backend, run):
        await eventually(lambda: len(run.previews) == 2)


async def test_a_lost_segment_is_left_out(
    relay: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    relay.segments = [WHOLE] * 3
    relay.on_preview(answers.error(404))
    run = new_run()
    async with following(relay, backend, run):
        await eventually(lambda: len(run.previews) == 2)
        relay.segments += [WHOLE]
        await eventually(lambda: len(run.previews) == 3)
    numbers = [found.number for found in run.previews]
    assert numbers == sorted(numbers)
    assert numbers[-1] == 3


async def test_an_upstream_that_begins_anew_is_waited_for(
    relay: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    relay.segments = [WHOLE] * 3
    run = new_run()
    async with following(relay, backend, run):
        await eventually(lambda: len(run.previews) == 3)
        relay.segments = [WHOLE]
        asked = relay.counts["waveform"]
        await eventually(lambda: relay.counts["waveform"] >= asked + 2)
        relay.segments = [WHOLE] * 4
        await eventually(lambda: len(run.previews) == 4)
    assert [found.number for found in run.previews] == [0, 1, 2, 3]


async def test_a_shorter_segment_is_the_last(
    relay: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    relay.segments = [WHOLE, flac(2.0)]
    data = answers.growth(2)["data"][: 2 * (SEGMENT_PIXELS + 376)]
    relay.on_waveform(*[answers.json_body(200, answers.growth(2) | {"data": data}, SAYS)] * 9)
    run = new_run()
    async with following(relay, backend, run):
        await eventually(lambda: len(run.previews) == 2)
        reports = run.report_count
        await eventually(lambda: run.report_count > reports + 3)
    # 376 pixels are 2.005 s: its sound says how long it is.
    assert [found.duration_seconds for found in run.previews] == [4.0, 2.0]
    assert relay.counts["waveform"] == 1


def shape(**changes: object) -> Answer:
    """A waveform of one segment, with something about it that is not so."""
    return answers.json_body(200, answers.growth(1) | changes, SAYS)


HOSTILE_SHAPES: dict[str, Answer] = {
    "text": answers.body(200, b"<html>", "text/html", SAYS),
    "not UTF-8": answers.body(200, b'{"version": "\xff"}', "application/json", SAYS),
    "nested": answers.body(200, b"[" * 100_000, "application/json", SAYS),
    "huge": answers.raw(answers.head(200, SAYS) + b"[" + b"1," * 5_000_000),
    "other format": shape(bits=16),
    "numbers beyond bytes": shape(data=[-129, 128] * SEGMENT_PIXELS),
    "fractions": shape(data=[0.5, 1] * SEGMENT_PIXELS),
    "half a pixel": shape(data=[0] * (2 * SEGMENT_PIXELS - 1)),
    "too few": shape(segments=2),
    "too many": shape(data=[0, 0] * 1_000_000),
    "elsewhere": shape(first=7),
    "from nowhere": shape(segments=0),
    "rate": shape(sample_rate=0),
    "negative pixel": shape(samples_per_pixel=-256),
    "fine pixel": shape(samples_per_pixel=1, data=[0, 0] * 192_000),
    "below nothing": shape(segments=-1),
    "no number": shape(segments="1"),
    "without end": answers.json_body(200, answers.growth(300), SAYS),
}


@pytest.mark.parametrize("answer", HOSTILE_SHAPES.values(), ids=HOSTILE_SHAPES)
async def test_a_hostile_shape_ends_the_preview_and_not_the_job(
    relay: ScriptedUpstream,
    backend: UpstreamBackend,
    new_run: NewRun,
    caplog: pytest.LogCaptureFixture,
    answer: Answer,
) -> None:
    await _ends_the_preview(relay, backend, new_run(), caplog, shapes=answer)


HOSTILE_SOUNDS: dict[str, Answer] = {
    "text": answers.body(200, b"<html>", "text/html", SAYS),
    "nothing": answers.body(200, b"", "audio/flac", SAYS),
    "head only": answers.body(200, b"fLaC", "audio/flac", SAYS),
    "huge": answers.body(200, WHOLE.ljust(MAX_AUDIO_BYTES + 1), "audio/flac", SAYS),
    "stereo": answers.body(200, flac(layout="stereo"), "audio/flac", SAYS),
    "rate": answers.body(200, flac(rate=48_000), "audio/flac", SAYS),
    "too short": answers.body(200, flac(3.9), "audio/flac", SAYS),
    "too long": answers.body(200, flac(4.1), "audio/flac", SAYS),
    "compressed": answers.body(200, WHOLE, "audio/flac", SAYS | {"Content-Encoding": "gzip"}),
}


@pytest.mark.parametrize("answer", HOSTILE_SOUNDS.values(), ids=HOSTILE_SOUNDS)
async def test_a_hostile_sound_ends_the_preview_and_not_the_job(
    relay: ScriptedUpstream,
    backend: UpstreamBackend,
    new_run: NewRun,
    caplog: pytest.LogCaptureFixture,
    answer: Answer,
) -> None:
    relay.segments = [WHOLE]
    await _ends_the_preview(relay, backend, new_run(), caplog, sounds=answer)


async def test_a_waveform_that_changes_its_detail_is_not_mixed(
    relay: ScriptedUpstream,
    backend: UpstreamBackend,
    new_run: NewRun,
    caplog: pytest.LogCaptureFixture,
) -> None:
    relay.segments = [WHOLE]
    run = new_run()
    finer = {"samples_per_pixel": 512, "first": 375, "data": [0, 0] * 375}
    relay.on_waveform(shape(), answers.json_body(200, answers.growth(2) | finer, SAYS))
    with caplog.at_level(logging.INFO, "denoise_relay.upstream"):
        async with following(relay, backend, run):
            await eventually(lambda: "preview_stopped" in caplog.text)
    assert len(run.previews) == 1


async def test_answers_that_fail_are_asked_for_again(
    relay: ScriptedUpstream,
    backend: UpstreamBackend,
    new_run: NewRun,
    caplog: pytest.LogCaptureFixture,
) -> None:
    relay.segments = [WHOLE]
    relay.on_waveform(answers.reset())
    relay.on_preview(answers.error(500))
    run = new_run()
    async with following(relay, backend, run):
        await eventually(lambda: run.previews)
    assert "preview_stopped" not in caplog.text


async def test_an_upstream_that_never_answers_is_left_alone(
    relay: ScriptedUpstream,
    backend: UpstreamBackend,
    new_run: NewRun,
    caplog: pytest.LogCaptureFixture,
) -> None:
    times = previews.MAX_FAILURES
    await _ends_the_preview(
        relay, backend, new_run(), caplog, shapes=answers.error(503), times=times
    )


async def test_a_slow_preview_does_not_hold_up_the_end(
    relay: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    relay.segments = [WHOLE] * 4
    relay.on_preview(*[answers.silence()] * 4)
    loop = asyncio.get_running_loop()
    async with following(relay, backend, new_run()):
        await eventually(lambda: relay.counts["preview"] == 4)
        begun = loop.time()
    assert loop.time() - begun < 2.0


async def test_a_lost_lease_ends_the_preview_quietly(
    relay: ScriptedUpstream,
    backend: UpstreamBackend,
    new_run: NewRun,
    caplog: pytest.LogCaptureFixture,
) -> None:
    run = new_run()
    job = asyncio.create_task(backend.run(run), name="job")
    await eventually(lambda: relay.counts["waveform"])
    relay.segments = [WHOLE]
    run.lost = True
    with pytest.raises(LeaseLost):
        await asyncio.wait_for(job, 10)
    assert not [task for task in asyncio.all_tasks() if "preview" in task.get_name()]
    assert "preview_stopped" not in caplog.text


async def _ends_the_preview(
    relay: ScriptedUpstream,
    backend: UpstreamBackend,
    run: RecordedRun,
    caplog: pytest.LogCaptureFixture,
    *,
    shapes: Answer | None = None,
    sounds: Answer | None = None,
    times: int = 1,
) -> None:
    relay.on_waveform(*[shapes] * times if shapes else [])
    relay.on_preview(*[sounds] * times if sounds else [])
    with caplog.at_level(logging.INFO, "denoise_relay.upstream"):
        async with following(relay, backend, run):
            await eventually(lambda: "preview_stopped" in caplog.text)
            asked = relay.counts["waveform"] + relay.counts["preview"]
            reports = run.report_count
            await eventually(lambda: run.report_count > reports + 2)
            assert relay.counts["waveform"] + relay.counts["preview"] == asked
    assert run.previews == []
    assert caplog.text.count("preview_stopped") == 1
