"""The waveform of the clean recording while its job runs, and the segments that can be played."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import AsyncClient

from denoise_relay import presentation
from denoise_relay.models import Job
from tests.db.analyses import PIXEL, RATE, SEGMENT_PIXELS, add_segment, add_waveform, peaks
from tests.db.factories import fail, stored_job
from tests.db.media.recordings import CONTENT, waveform
from tests.db.requests import Response, fetch


@pytest.fixture
def running(owner: User) -> Job:
    """A job whose original has a waveform."""
    job = stored_job(CONTENT, owner=owner)
    add_waveform(job, "original")
    return job


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
