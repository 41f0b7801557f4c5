"""Waveforms and segments, written straight into a site's database as a worker would."""

from __future__ import annotations

import zlib

from tests.live.recordings import tone_in_noise
from tests.sites import Site

RATE, PIXEL = 48_000, 256
PIXELS_PER_SECOND = RATE / PIXEL
SEGMENT_SECONDS = 4.0


def peaks(seconds: float, height: int) -> bytes:
    """As many pixels as so many seconds have, each from `-height` to `height`."""
    pixel = (-height).to_bytes(1, signed=True) + height.to_bytes(1, signed=True)
    return pixel * round(seconds * PIXELS_PER_SECOND)


def add_waveform(site: Site, path: str, side: str, seconds: float, height: int) -> None:
    """Give a job, whose page has this path, the waveform of one side."""
    site.rows(
        "INSERT OR REPLACE INTO denoise_relay_waveform"
        " (job_id, side, sample_rate, samples_per_pixel, peaks) VALUES (%s, %s, %s, %s, %s)",
        job_of(path),
        side,
        RATE,
        PIXEL,
        zlib.compress(peaks(seconds, height)),
    )


def add_segment(site: Site, path: str, number: int, height: int) -> None:
    """Give it one more piece of the clean recording, with sound."""
    site.rows(
        "INSERT INTO denoise_relay_segment (job_id, number, duration_seconds, sample_rate,"
        " samples_per_pixel, peaks, audio) VALUES (%s, %s, %s, %s, %s, %s, %s)",
        job_of(path),
        number,
        SEGMENT_SECONDS,
        RATE,
        PIXEL,
        peaks(SEGMENT_SECONDS, height),
        tone_in_noise(SEGMENT_SECONDS, rate=24_000),
    )


def job_of(path: str) -> str:
    """The id in a job page's path."""
    return path.strip("/").split("/")[-1]
