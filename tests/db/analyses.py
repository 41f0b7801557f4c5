"""What the player needs of a job, made from plain bytes."""

from __future__ import annotations

from typing import Any

from django.core.files.base import ContentFile

from denoise_relay.media import derived, waveforms
from denoise_relay.models import DerivedFile, Job, Segment, Waveform, media_name, media_storage
from tests.db.factories import finish, stored_job

RATE, PIXEL = 48_000, 256
#: Pixels of a segment at `RATE` and `PIXEL`: 4 s.
SEGMENT_PIXELS = 750
STATISTICS: dict[str, Any] = {
    "before": {
        "loudness_lufs": -20.5,
        "true_peak_db": -1.2,
        "noise_floor_db": -45.0,
        "snr_db": 18.0,
        "dnsmos": None,
    },
    "after": {
        "loudness_lufs": -21.0,
        "true_peak_db": -2.0,
        "noise_floor_db": -71.1,
        "snr_db": 44.0,
        "dnsmos": None,
    },
    "removed_gain": 1.0,
    "noise_reduction_db": 26.1,
}


def peaks(*pixels: tuple[int, int]) -> bytes:
    """Signed bytes of (minimum, maximum) pairs."""
    return b"".join(v.to_bytes(1, signed=True) for pixel in pixels for v in pixel)


def add_waveform(job: Job, side: str, data: bytes = peaks((-100, 100), (-3, 4))) -> Waveform:
    return Waveform.objects.create(
        job=job,
        side=side,
        sample_rate=RATE,
        samples_per_pixel=PIXEL,
        peaks=waveforms.packed(data),
    )


def add_segment(
    job: Job, number: int, data: bytes | None = None, audio: bytes = b"fLaC", seconds: float = 4.0
) -> Segment:
    """By default a whole segment, each pixel of which is (-number, number)."""
    return Segment.objects.create(
        job=job,
        number=number,
        duration_seconds=seconds,
        sample_rate=RATE,
        samples_per_pixel=PIXEL,
        peaks=peaks((-number, number)) * SEGMENT_PIXELS if data is None else data,
        audio=audio,
    )


def add_file(job: Job, kind: str, content: bytes, suffix: str) -> DerivedFile:
    """A stored file of this kind."""
    name = media_storage().save(media_name(job, f"any.{suffix}"), ContentFile(content))
    return DerivedFile.objects.create(job=job, kind=kind, file=name)


def analyse(
    job: Job,
    *,
    comparison: bytes = b"comparison",
    spectrogram: bytes = b"picture",
    suffix: str = "webp",
    original: bytes = peaks((-100, 100), (-3, 4)),
    denoised: bytes = peaks((-90, 90), (-1, 1)),
    statistics: dict[str, Any] = STATISTICS,
) -> Job:
    """Give a done job all that an analysis makes."""
    add_waveform(job, "original", original)
    add_waveform(job, "denoised", denoised)
    add_file(job, derived.COMPARISON, comparison, "flac")
    for side in derived.SIDES:
        add_file(job, derived.spectrogram(side), spectrogram, suffix)
    Job.objects.filter(pk=job.pk).update(statistics=statistics)
    job.refresh_from_db()
    return job


def analysed_job(original: bytes = b"original", denoised: bytes = b"denoised", **more: Any) -> Job:
    """A done job with its recordings and its analysis; `more` are columns of the job."""
    return analyse(finish(stored_job(original, **more), denoised))
