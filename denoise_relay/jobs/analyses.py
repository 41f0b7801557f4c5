"""Writes what an analysis has found out about a job's recordings. Blocking code."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from denoise_relay import engine
from denoise_relay.jobs.waveforms import columns, is_file, read_peaks
from denoise_relay.lifecycle import Status
from denoise_relay.media import derived, storage
from denoise_relay.models import DerivedFile, Job, Segment, Waveform
from denoise_relay.runtime.database import write_transaction
from denoise_relay.waveform import Peaks

#: Of a job that ended like this nothing is shown.
_FAILED: Final = (Status.ERROR, Status.CANCELED)


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """An analysis whose files are stored, and of which no row says anything yet."""

    analysis: engine.Analysis
    #: By side.
    peaks: Mapping[str, bytes]
    #: Names in the storage, by kind.
    files: Mapping[str, str]


def store(job: Job, analysis: engine.Analysis, folder: Path) -> Stored:
    """Store the files that `engine.analyse` has written. Uses no database.

    Raises `OSError`, or what the storage raises; nothing is left behind then.
    """
    peaks = {side: read_peaks(folder / f"{side}.peaks") for side in derived.SIDES}
    files: dict[str, str] = {}
    try:
        for kind, path in _files(folder):
            files[kind] = storage.store_result(job, path)
    except Exception:
        discard(files.values())
        raise
    return Stored(analysis=analysis, peaks=peaks, files=files)


def discard(files: Iterable[str]) -> None:
    """Delete files of the storage that no row names."""
    for name in files:
        storage.discard(name)


def write(job: UUID, epoch: int | None, stored: Stored) -> set[str]:
    """Write the rows, and replace those of an earlier analysis.

    `epoch` is that of the lease under which this was made; None: of no lease. Returns the files
    that no row names: those of the earlier analysis, or the new ones if the job was deleted, is
    somebody else's or has failed. May be repeated.
    """
    with write_transaction() as alias:
        rows = Job.objects.using(alias).filter(pk=job).exclude(status__in=_FAILED)
        if epoch is not None:
            rows = rows.filter(epoch=epoch)
        # Locked until the commit, so that nobody deletes it in between.
        if not rows.select_for_update().exists():
            return set(stored.files.values())
        earlier = DerivedFile.objects.using(alias).filter(job=job, kind__in=stored.files)
        replaced = set(earlier.values_list("file", flat=True)) - set(stored.files.values())
        earlier.delete()
        DerivedFile.objects.using(alias).bulk_create(
            DerivedFile(job_id=job, kind=kind, file=name) for kind, name in stored.files.items()
        )
        _write_waveforms(alias, job, stored)
        rows.update(statistics=statistics_of(stored.analysis))
        # The waveform that grew is complete now.
        Segment.objects.using(alias).filter(job=job).delete()
    return replaced


def statistics_of(analysis: engine.Analysis) -> dict[str, Any]:
    """The numbers as they are stored and served (docs/architecture.md)."""
    before, after = analysis.before, analysis.after
    reduction = None
    if before.noise_floor_db is not None and after.noise_floor_db is not None:
        # As loud as before: a result that was made louder has louder noise.
        gain = 20.0 * math.log10(max(analysis.removed_gain, 1e-6))
        reduction = round(before.noise_floor_db - after.noise_floor_db - gain, 1)
    return {
        "before": _rounded(dataclasses.asdict(before)),
        "after": _rounded(dataclasses.asdict(after)),
        "removed_gain": analysis.removed_gain,
        "noise_reduction_db": reduction,
    }


def _rounded(numbers: Mapping[str, float | None]) -> dict[str, float | None]:
    return {name: None if value is None else round(value, 2) for name, value in numbers.items()}


def _write_waveforms(alias: str, job: UUID, stored: Stored) -> None:
    rate, pixel = stored.analysis.sample_rate, stored.analysis.samples_per_pixel
    rows = Waveform.objects.using(alias)
    rows.filter(job=job, side__in=stored.peaks).delete()
    for side, data in stored.peaks.items():
        peaks = Peaks(sample_rate=rate, samples_per_pixel=pixel, data=data)
        rows.create(job_id=job, side=side, **columns(peaks))


def _files(folder: Path) -> list[tuple[str, Path]]:
    """The files to store, by kind. Some may be missing."""
    found = [(derived.COMPARISON, folder / f"comparison{engine.OUTPUT_SUFFIX}")]
    for side in derived.SIDES:
        kind = derived.spectrogram(side)
        found += [(kind, folder / f"{kind}.{suffix}") for suffix in derived.IMAGE_TYPES]
    return [(kind, path) for kind, path in found if is_file(path)]
