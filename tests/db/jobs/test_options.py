"""The options of a job: checked, refused where there is no engine, kept when it is repeated."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core.files.base import ContentFile
from pytest_django import Settings

import denoise_relay
from denoise_relay import engine
from denoise_relay.exceptions import UploadRejected
from denoise_relay.jobs import actions, fetching, options
from denoise_relay.jobs.options import Options
from denoise_relay.models import Job
from denoise_relay.testing import tone_wav
from tests.db.factories import fail, stored_job

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("media")]

needs_engine = pytest.mark.skipif(not engine.available(), reason="needs the local engine")


def recording() -> ContentFile[bytes]:
    return ContentFile(tone_wav(0.5), "talk.wav")


def columns(job: Job) -> tuple[float | None, float | None]:
    row = Job.objects.get(pk=job.pk)
    return row.max_attenuation_db, row.loudness_lufs


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "available", lambda *_: False)


@needs_engine
@pytest.mark.parametrize(
    ("strength", "loudness", "stored"),
    [
        (None, None, (None, None)),
        (12, -16, (12.0, -16.0)),
        (3.0, -31.0, (3.0, -31.0)),
        (99.9, -9.0, (99.9, -9.0)),
        # Nothing audible stays.
        (100, None, (None, None)),
        (math.inf, None, (None, None)),
    ],
)
def test_a_job_has_the_options_that_were_chosen(
    strength: float | None, loudness: float | None, stored: tuple[float | None, float | None]
) -> None:
    job = denoise_relay.submit(recording(), max_attenuation_db=strength, loudness_lufs=loudness)
    assert columns(job) == stored


@needs_engine
@pytest.mark.parametrize(
    ("chosen", "says"),
    [
        (
            {"max_attenuation_db": 2.9},
            "“2.9” is no strength: 3 to 100 dB, and 100 removes all noise.",
        ),
        ({"max_attenuation_db": -12.0}, "“-12” is no strength: 3 to 100 dB"),
        ({"max_attenuation_db": math.nan}, "“nan” is no strength: 3 to 100 dB"),
        ({"loudness_lufs": -8.9}, "“-8.9” is no loudness: -31 to -9 LUFS."),
        ({"loudness_lufs": -31.1}, "“-31.1” is no loudness: -31 to -9 LUFS."),
        ({"loudness_lufs": 16.0}, "“16” is no loudness: -31 to -9 LUFS."),
        ({"loudness_lufs": math.nan}, "“nan” is no loudness: -31 to -9 LUFS."),
        ({"loudness_lufs": -math.inf}, "“-inf” is no loudness: -31 to -9 LUFS."),
    ],
)
def test_what_is_out_of_range_is_refused_before_the_file_is_stored(
    media: Path, chosen: dict[str, float], says: str
) -> None:
    with pytest.raises(UploadRejected) as refused:
        denoise_relay.submit(recording(), **chosen)
    assert refused.value.code == "bad_option"
    assert str(refused.value).startswith(says)
    assert not Job.objects.exists()
    assert [path for path in media.rglob("*") if path.is_file()] == []


@needs_engine
@pytest.mark.parametrize(
    ("texts", "options_of_texts"),
    [
        (("", ""), Options()),
        (("24", "-23"), Options(max_attenuation_db=24.0, loudness_lufs=-23.0)),
        (("6.5", ""), Options(max_attenuation_db=6.5)),
        (("100", "-14.5"), Options(loudness_lufs=-14.5)),
        (("9999", ""), Options()),
    ],
)
def test_texts_are_read(texts: tuple[str, str], options_of_texts: Options) -> None:
    assert options.parsed(*texts) == options_of_texts


@needs_engine
@pytest.mark.parametrize(
    "text", ["all", "nan", "inf", "1e1", "1_2", "12 ", "١٢", "12dB", "1" * 400]
)
def test_a_text_that_is_no_number_is_refused(text: str) -> None:
    for texts in ((text, ""), ("", text)):
        with pytest.raises(UploadRejected) as refused:
            options.parsed(*texts)
        assert refused.value.code == "bad_option"
        assert len(str(refused.value)) < 120


@pytest.mark.usefixtures("no_engine")
def test_without_an_engine_there_is_nothing_to_choose() -> None:
    assert not options.offered()
    for chosen in (Options(max_attenuation_db=12.0), Options(loudness_lufs=-16.0)):
        with pytest.raises(UploadRejected, match="cannot be chosen here") as refused:
            options.validated(chosen)
        assert refused.value.code == "bad_option"
    assert options.parsed("100", "") == Options()


@needs_engine
def test_results_that_stay_upstream_cannot_be_changed(settings: Settings) -> None:
    assert options.offered()
    settings.DENOISE_RELAY = {"STORE_RESULTS": False}
    assert not options.offered()


REPEATS: list[Any] = [
    pytest.param(repeat, id=name)
    for name, repeat in {
        "retry": actions.retry,
        "aretry": async_to_sync(actions.aretry),
        "fetch_again": fetching.fetch_again,
        "afetch_again": async_to_sync(fetching.afetch_again),
        "denoise_whole": actions.denoise_whole,
        "adenoise_whole": async_to_sync(actions.adenoise_whole),
    }.items()
]


def failed_job() -> Job:
    """A job with options that can be repeated in every way."""
    job = stored_job(
        upstream_id="u-1", fetchable=True, max_attenuation_db=12.0, loudness_lufs=-16.0
    )
    job.whole.name = job.original.storage.save("denoise/whole.wav", ContentFile(b"all of it"))
    job.whole_name = "whole.wav"
    job.save()
    return fail(job, "Lost")


@needs_engine
@pytest.mark.parametrize("repeat", REPEATS)
def test_a_repetition_keeps_the_options(repeat: Callable[..., Job]) -> None:
    assert columns(repeat(failed_job())) == (12.0, -16.0)


@needs_engine
@pytest.mark.parametrize("repeat", REPEATS)
def test_a_repetition_may_have_other_options(repeat: Callable[..., Job]) -> None:
    assert columns(repeat(failed_job(), changed=Options(loudness_lufs=-23.0))) == (None, -23.0)


@needs_engine
@pytest.mark.parametrize("repeat", REPEATS)
def test_a_repetition_with_a_wrong_option_is_refused(repeat: Callable[..., Job]) -> None:
    with pytest.raises(UploadRejected, match="no loudness"):
        repeat(failed_job(), changed=Options(loudness_lufs=0.0))
    assert Job.objects.count() == 1


@pytest.mark.parametrize("repeat", REPEATS)
@pytest.mark.usefixtures("no_engine")
def test_options_that_are_offered_no_more_are_dropped(repeat: Callable[..., Job]) -> None:
    assert columns(repeat(failed_job())) == (None, None)
