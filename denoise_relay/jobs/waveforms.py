"""Waveforms on their way from the engine's child into rows. Blocking code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from denoise_relay.media import derived, waveforms
from denoise_relay.models import Job, Waveform
from denoise_relay.waveform import MAX_PIXELS, PIXEL_BYTES, Peaks

#: The side of a row for the recording that an excerpt was cut from: kept for `denoise_whole`.
WHOLE: Final = "whole"


def is_file(path: Path) -> bool:
    """Whether it is a file, and no link: the child that wrote it has read a stranger's file."""
    return path.is_file() and not path.is_symlink()


def read_peaks(path: Path) -> bytes:
    """Peaks that the engine's child has written. Raises `OSError` if they are too many."""
    if not is_file(path) or path.stat().st_size > 2 * MAX_PIXELS * PIXEL_BYTES:
        raise OSError(f"{path.name} is not what it should be")
    return path.read_bytes()


def columns(peaks: Peaks) -> dict[str, Any]:
    """The columns of a row for these peaks."""
    return {
        "sample_rate": peaks.sample_rate,
        "samples_per_pixel": peaks.samples_per_pixel,
        "peaks": waveforms.packed(peaks.data),
    }


def insert(alias: str, job: Job, drawn: Mapping[str, Peaks]) -> None:
    """Insert the rows of a new job: `drawn`, by side, and what the job that it repeats has of the
    same files."""
    rows = _known(alias, job) | {side: columns(peaks) for side, peaks in drawn.items()}
    Waveform.objects.using(alias).bulk_create(
        Waveform(job=job, side=side, **values) for side, values in rows.items()
    )


def _known(alias: str, job: Job) -> dict[str, dict[str, Any]]:
    earlier = job.retry_of
    if earlier is None:
        return {}
    original, whole = derived.SIDES[0], WHOLE
    # By the side that they have there.
    sides = {original: original, whole: whole}
    if job.original.name != earlier.original.name:
        sides = {whole: original} if job.original.name == earlier.whole.name else {}
    rows = Waveform.objects.using(alias).filter(job=earlier.pk, side__in=sides)
    return {
        sides[side]: {"sample_rate": rate, "samples_per_pixel": pixel, "peaks": peaks}
        for side, rate, pixel, peaks in rows.values_list(
            "side", "sample_rate", "samples_per_pixel", "peaks"
        )
    }
