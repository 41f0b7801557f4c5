"""Reads the waveforms of a job: complete ones, and one that grows while the job runs. Blocking
code."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from django.db.models.functions import Length

from denoise_relay.engine import SEGMENT_SECONDS
from denoise_relay.models import Job, Segment, Waveform, current_jobs
from denoise_relay.waveform import MAX_PIXELS, PIXEL_BYTES, Peaks, whole_pixels


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """What is known of a waveform from one pixel on."""

    #: Of the pixels from `first` on.
    peaks: Peaks
    first: int
    complete: bool
    #: Segments that can be played, of a waveform that grows; those that were lost count, too.
    segments: int | None
    #: Of each of them but the last.
    segment_seconds: float = SEGMENT_SECONDS
    #: Differs where any of the above does.
    version: str


def known(job: Job, side: str, first: int = 0) -> Known | None:
    """The waveform of one side of a job from pixel `first` on; None where there is none.

    A waveform that grows may begin anew, when another process takes over its job: `first` is then
    smaller than asked for.
    """
    # Not from a replica that lags: a waveform must not shrink.
    alias = current_jobs().db
    rows = Waveform.objects.using(alias).filter(job=job.pk)
    if (row := rows.filter(side=side).first()) is not None:
        return _complete(row, first)
    if side != "denoised":
        return None
    growing = _growing(alias, job, first)
    if growing is not None or job.ended:
        return growing
    before = rows.filter(side="original").defer("peaks").first()
    if before is None:
        return None
    rate, pixel = before.sample_rate, before.samples_per_pixel
    nothing = Peaks(sample_rate=rate, samples_per_pixel=pixel, data=b"")
    return Known(peaks=nothing, first=0, complete=False, segments=0, version="0")


def packed(peaks: bytes) -> bytes:
    """Peaks as `Waveform` keeps them."""
    return zlib.compress(peaks, 6)


def unpacked(row: Waveform) -> Peaks:
    """The waveform of a row."""
    # Bounded, although we have written it: a row may come from a restored or edited database.
    data = zlib.decompressobj().decompress(bytes(row.peaks), 2 * MAX_PIXELS * PIXEL_BYTES)
    return Peaks(sample_rate=row.sample_rate, samples_per_pixel=row.samples_per_pixel, data=data)


def _complete(row: Waveform, first: int) -> Known:
    peaks = unpacked(row)
    first = min(first, peaks.length)
    return Known(
        peaks=peaks.after(first),
        first=first,
        complete=True,
        segments=None,
        version=f"{row.pk}:{first}",
    )


def _growing(alias: str, job: Job, first: int) -> Known | None:
    """What the segments make; None if there are none."""
    rows = Segment.objects.using(alias).filter(job=job.pk)
    last = rows.annotate(size=Length("peaks")).defer("peaks", "audio").order_by("number").last()
    if last is None:
        return None
    pixels = _pixels(last)
    size: int = last.size
    end = last.number * pixels + min(size // PIXEL_BYTES, pixels)
    first = min(first, end)
    data = bytearray((end - first) * PIXEL_BYTES)  # what was lost is silent
    found = rows.filter(number__gte=first // pixels, number__lte=last.number)
    for number, peaks in found.values_list("number", "peaks"):
        skipped = max(first - number * pixels, 0)
        part = bytes(peaks)[skipped * PIXEL_BYTES : pixels * PIXEL_BYTES]
        at = (number * pixels + skipped - first) * PIXEL_BYTES
        data[at : at + len(part)] = part
    rate, pixel = last.sample_rate, last.samples_per_pixel
    return Known(
        peaks=Peaks(sample_rate=rate, samples_per_pixel=pixel, data=bytes(data)),
        first=first,
        complete=False,
        segments=last.number + 1,
        segment_seconds=pixels * pixel / rate,
        version=f"{last.number}:{end}:{first}",
    )


def _pixels(segment: Segment) -> int:
    """Of each segment but the last: the whole ones of `SEGMENT_SECONDS`."""
    return whole_pixels(SEGMENT_SECONDS, segment.sample_rate, segment.samples_per_pixel)
