"""Waveforms, previews, spectrograms, statistics and the comparison file over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import AsyncClient
from pytest_django import Settings

from denoise_relay import presentation
from denoise_relay.models import DerivedFile, Job, Segment, Waveform
from tests.db.analyses import (
    PIXEL,
    RATE,
    SEGMENT_PIXELS,
    STATISTICS,
    add_file,
    add_segment,
    add_waveform,
    analyse,
    peaks,
)
from tests.db.factories import fail, stored_job
from tests.db.media.recordings import CONTENT
from tests.db.media.test_remote_recordings import _Bucket, _use_storage
from tests.db.requests import Response, fetch


@pytest.fixture
def running(owner: User) -> Job:
    """A job whose original has a waveform."""
    job = stored_job(CONTENT, owner=owner)
    add_waveform(job, "original")
    return job


def waveform(job: Job, client: AsyncClient, side: str, query: str = "") -> Any:
    links = presentation.links_of(job)
    url = links.waveform_original if side == "original" else links.waveform_denoised
    answer = fetch(f"{url}{query}", client=client)
    assert answer.status == 200
    return answer.json()


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
        assert fetch(url).status == 404, url


def test_everything_is_missing_in_the_same_way(job: Job, client: AsyncClient) -> None:
    for url in [*every_url(job), presentation.links_of(job).preview]:
        assert fetch(url, client=client).status == 404, url
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


def test_waveform_grows_with_the_segments(running: Job, client: AsyncClient) -> None:
    empty = waveform(running, client, "denoised")
    assert (empty["length"], empty["complete"], empty["segments"]) == (0, False, 0)
    assert (empty["sample_rate"], empty["samples_per_pixel"]) == (RATE, PIXEL)

    add_segment(running, 0)
    add_segment(running, 1)
    grown = waveform(running, client, "denoised")
    assert grown["data"] == [0, 0] * SEGMENT_PIXELS + [-1, 1] * SEGMENT_PIXELS
    assert (grown["segments"], grown["segment_seconds"]) == (2, 4.0)

    add_segment(running, 2, peaks((-2, 2)), seconds=0.01)
    news = waveform(running, client, "denoised", f"?from={2 * SEGMENT_PIXELS - 1}")
    assert (news["first"], news["data"]) == (2 * SEGMENT_PIXELS - 1, [-1, 1, -2, 2])
    nothing = waveform(running, client, "denoised", f"?from={2 * SEGMENT_PIXELS + 1}")
    assert (nothing["length"], nothing["complete"]) == (0, False)


def test_growing_waveform_is_asked_for_again_each_time(running: Job, client: AsyncClient) -> None:
    url = presentation.links_of(running).waveform_denoised

    def get(known: Response | None = None) -> Response:
        headers = {"if-none-match": known["ETag"]} if known else {}
        return fetch(url, client=client, headers=headers)

    empty = get()
    assert empty["Cache-Control"] == "private, no-cache"
    assert get(empty).status == 304
    add_segment(running, 0)
    grown = get(empty)
    assert grown.status == 200
    assert get(grown).status == 304
    add_waveform(running, "denoised")
    assert get(grown)["Cache-Control"] == "private, max-age=3600"


def test_lost_segment_leaves_a_silent_hole(running: Job, client: AsyncClient) -> None:
    add_segment(running, 1)
    add_segment(running, 3)

    grown = waveform(running, client, "denoised")

    silence = [0, 0] * SEGMENT_PIXELS
    assert grown["data"] == [
        *silence,
        *[-1, 1] * SEGMENT_PIXELS,
        *silence,
        *[-3, 3] * SEGMENT_PIXELS,
    ]
    assert grown["segments"] == 4


def test_another_process_begins_anew(running: Job, client: AsyncClient) -> None:
    """The client sees that `first` is not what it asked for, and forgets what is behind it."""
    add_segment(running, 0)

    again = waveform(running, client, "denoised", "?from=9000")

    assert (again["first"], again["length"]) == (SEGMENT_PIXELS, 0)


def test_segments_of_another_rate_leave_no_gap(running: Job, client: AsyncClient) -> None:
    """4 s at 44.1 kHz are 689.06 pixels, so that a segment is a little shorter."""
    for number, size in enumerate([689, 689, 1]):
        row = add_segment(running, number, peaks((-1, 1)) * size)
        row.sample_rate = 44_100
        row.save()

    grown = waveform(running, client, "denoised")

    assert grown["data"] == [-1, 1] * (689 * 2 + 1)
    assert grown["segment_seconds"] == 689 * PIXEL / 44_100


def test_preview_is_played(running: Job, client: AsyncClient) -> None:
    add_segment(running, 0, audio=b"fLaC first")
    add_segment(running, 12, audio=b"fLaC twelfth")
    url = presentation.links_of(running).preview
    assert url.endswith("/preview/0/")

    first = fetch(url, client=client)
    later = fetch(url.replace("/0/", "/12/"), client=client)

    assert (first.body, later.body) == (b"fLaC first", b"fLaC twelfth")
    assert first["Content-Type"] == "audio/flac"
    assert first["Cache-Control"].startswith("private")


def test_failed_job_has_no_clean_waveform(running: Job, client: AsyncClient) -> None:
    fail(running, "No.")

    url = presentation.links_of(running).waveform_denoised
    assert fetch(url, client=client).status == 404


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
