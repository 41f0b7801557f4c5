"""Waveforms, previews, spectrograms, statistics and the comparison file over HTTP."""

from __future__ import annotations

import gzip

import pytest
from django.contrib.auth.models import User
from django.test import AsyncClient
from pytest_django import Settings

from denoise_relay import presentation
from denoise_relay.models import DerivedFile, Job, Segment, Waveform
from tests.db.analyses import (
    PIXEL,
    RATE,
    STATISTICS,
    add_file,
    add_segment,
    add_waveform,
    analyse,
    peaks,
)
from tests.db.factories import stored_job
from tests.db.media.recordings import CONTENT, waveform
from tests.db.media.test_remote_recordings import _Bucket, _use_storage
from tests.db.requests import fetch


def every_url(job: Job) -> list[str]:
    links = presentation.links_of(job)
    return [
        links.waveform_original,
        links.waveform_denoised,
        links.comparison,
        links.spectrogram_original,
        links.spectrogram_denoised,
        links.statistics,
    ]


def test_waveform_is_the_json_of_audiowaveform(job: Job, client: AsyncClient) -> None:
    analyse(job, original=peaks((-128, 127), (-3, 4)))

    assert waveform(job, client, "original") == {
        "version": 2,
        "channels": 1,
        "sample_rate": RATE,
        "samples_per_pixel": PIXEL,
        "bits": 8,
        "length": 2,
        "data": [-128, 127, -3, 4],
        "first": 0,
        "complete": True,
    }
    part = waveform(job, client, "original", "?from=1")
    assert (part["first"], part["length"], part["data"]) == (1, 1, [-3, 4])
    after = waveform(job, client, "original", "?from=9999999")
    assert (after["first"], after["data"]) == (2, [])
    assert waveform(job, client, "original", "?from=-1")["first"] == 0


def test_a_long_waveform_is_compressed_for_who_can_read_that(job: Job, client: AsyncClient) -> None:
    analyse(job, original=peaks((-100, 100), (-3, 4)) * 5000)
    url = presentation.links_of(job).waveform_original
    plain = fetch(url, client=client)

    packed = fetch(url, client=client, headers={"accept-encoding": "gzip, br"})

    assert packed["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert gzip.decompress(packed.body) == plain.body
    assert len(packed.body) < len(plain.body) / 10
    assert "Accept-Encoding" in packed["Vary"]
    assert "Accept-Encoding" in plain["Vary"]
    again = fetch(url, client=client, headers={"if-none-match": packed["ETag"]})
    assert again.status == 304


def test_statistics_are_what_was_stored(job: Job, client: AsyncClient) -> None:
    url = presentation.links_of(job).statistics
    assert fetch(url, client=client).status == 404
    assert fetch(f"{url}?soon=1", client=client).status == 204
    analyse(job)

    answer = fetch(url, client=client)

    assert answer.json() == fetch(f"{url}?soon=1", client=client).json() == STATISTICS
    assert answer["Content-Type"] == "application/json"


def test_comparison_is_served_in_ranges(job: Job, client: AsyncClient) -> None:
    analyse(job, comparison=CONTENT)
    url = presentation.links_of(job).comparison

    answer = fetch(url, client=client, headers={"range": "bytes=2-5"})

    assert (answer.status, answer.body) == (206, CONTENT[2:6])
    assert answer["Content-Type"] == "audio/flac"


@pytest.mark.parametrize(
    ("suffix", "media_type"), [("webp", "image/webp"), ("png", "image/png"), ("html", None)]
)
def test_spectrogram_is_a_picture_and_never_a_page(
    job: Job, client: AsyncClient, suffix: str, media_type: str | None
) -> None:
    analyse(job, spectrogram=b"<script>", suffix=suffix)

    answer = fetch(presentation.links_of(job).spectrogram_denoised, client=client)

    assert answer.status == (200 if media_type else 404)
    assert answer.headers["Content-Type"] == (media_type or "text/html; charset=utf-8")
    if media_type:
        assert answer.body == b"<script>"
        assert answer["X-Content-Type-Options"] == "nosniff"


def test_files_come_from_this_site_though_the_storage_has_urls(
    settings: Settings, owner: User, client: AsyncClient
) -> None:
    """A browser plays what comes from elsewhere through the Web Audio API as silence."""
    _use_storage(settings, _Bucket)
    job = analyse(stored_job(CONTENT, owner=owner), comparison=CONTENT)

    links = presentation.links_of(job)
    assert fetch(links.comparison, client=client).body == CONTENT
    assert fetch(links.spectrogram_original, client=client).status == 200


def test_nobody_else_gets_anything(job: Job) -> None:
    analyse(job)
    add_segment(job, 0)

    for url in [*every_url(job), presentation.links_of(job).preview]:
        assert fetch(url).status == fetch(f"{url}?soon=1").status == 404, url


def test_everything_is_missing_in_the_same_way(job: Job, client: AsyncClient) -> None:
    for url in [*every_url(job), presentation.links_of(job).preview]:
        assert fetch(url, client=client).status == 404, url
        soon = 204 if "waveform" in url or "statistics" in url else 404
        assert fetch(f"{url}?soon=1", client=client).status == soon, url
    for path in ("waveform/both", "spectrogram/both", "preview/x", "preview/99999999999999999999"):
        assert fetch(f"/jobs/{job.pk}/{path}/", client=client).status == 404, path


def test_known_answers_are_not_sent_again(job: Job, client: AsyncClient) -> None:
    analyse(job)
    add_segment(job, 0)

    for url in [*every_url(job), presentation.links_of(job).preview]:
        etag = fetch(url, client=client)["ETag"]
        again = fetch(url, client=client, headers={"if-none-match": etag})
        assert (again.status, again.body) == (304, b""), url


def test_methods_that_change_something_are_refused(job: Job, client: AsyncClient) -> None:
    analyse(job)

    for url in every_url(job):
        assert fetch(url, client=client, method="POST").status == 405, url
        assert fetch(url, client=client, method="HEAD").status == 200, url


def test_hostile_row_is_not_unpacked_without_bounds(job: Job, client: AsyncClient) -> None:
    add_waveform(job, "original", bytes(20_000_000))

    assert waveform(job, client, "original")["length"] == 480_000


def test_rows_say_what_they_are(job: Job) -> None:
    analyse(job)
    add_segment(job, 1)

    assert str(Waveform.objects.get(side="original")) == f"{job.pk} original"
    assert str(Segment.objects.get()) == f"{job.pk} segment 1"
    assert str(DerivedFile.objects.get(kind="comparison")) == f"{job.pk} comparison"
    assert add_file(job, "mp3-0.80", b"", "mp3").file.name.endswith(".mp3")
