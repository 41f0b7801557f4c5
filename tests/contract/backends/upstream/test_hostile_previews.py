"""Previews that are none end the preview and not the job."""

from __future__ import annotations

import logging

import pytest

from denoise_relay.backends.upstream import UpstreamBackend, previews
from denoise_relay.backends.upstream.segments import MAX_AUDIO_BYTES
from denoise_relay.testing import Answer, ScriptedUpstream, answers
from denoise_relay.testing.answers import SEGMENT_PIXELS
from tests.contract.backends.upstream.relayed import SAYS, WHOLE, flac, following
from tests.contract.runs import NewRun, RecordedRun
from tests.waiting import eventually


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
