"""Reads the waveforms of a job: complete ones, and one that grows while the job runs. Blocking
code."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from django.db.models.functions import Length

from denoise_relay.models import Job, Segment, Waveform, current_jobs
from denoise_relay.waveform import MAX_PIXELS, PIXEL_BYTES, Peaks

#: Of all segments of a job but the last.
SEGMENT_SECONDS: Final = 4.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """What is known of a waveform from one pixel on."""

    #: Of the pixels from `first` on.
    peaks: Peaks
    first: int
    complete: bool
    #: Segments that can be played, of a waveform that grows; those that were lost count, too.
    segments: int | None
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


@dataclass(frozen=True, kw_only=True, slots=True)
class _Span:
    """The pixels of a segment."""

    number: int
    start: int
    end: int


def _growing(alias: str, job: Job, first: int) -> Known | None:
    """What the segments make; None if there are none."""
    rows = Segment.objects.using(alias).filter(job=job.pk).order_by("number")
    one = rows.only("sample_rate", "samples_per_pixel").first()
    if one is None:
        return None
    rate = one.sample_rate / one.samples_per_pixel
    sizes = rows.annotate(size=Length("peaks")).values_list("number", "size")
    spans = list(_spans(sizes, SEGMENT_SECONDS * rate))
    end = spans[-1].end if spans else 0
    first = min(first, end)
    wanted = {span.number: span for span in spans if span.end > first}
    data = bytearray((end - first) * PIXEL_BYTES)  # what was lost is silent
    found = rows.filter(number__in=wanted).values_list("number", "peaks")
    for number, peaks in found:
        span = wanted[number]
        skipped = max(first - span.start, 0)
        at = (span.start + skipped - first) * PIXEL_BYTES
        part = bytes(peaks)[skipped * PIXEL_BYTES : (span.end - span.start) * PIXEL_BYTES]
        data[at : at + len(part)] = part
    count = spans[-1].number + 1 if spans else 0
    peaks = Peaks(
        sample_rate=one.sample_rate, samples_per_pixel=one.samples_per_pixel, data=bytes(data)
    )
    return Known(
        peaks=peaks, first=first, complete=False, segments=count, version=f"{count}:{end}:{first}"
    )


def _spans(sizes: Iterator[tuple[int, int]], pixels: float) -> Iterator[_Span]:
    """Where each segment lies: behind the one before, unless one was lost in between. `pixels` are
    those of a whole segment, not rounded."""
    end = 0
    for number, size in sizes:
        due = number * pixels
        start = round(due) if due > end + pixels / 2 else end
        end = start + size // PIXEL_BYTES
        yield _Span(number=number, start=start, end=end)
