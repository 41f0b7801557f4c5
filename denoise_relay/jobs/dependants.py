"""What goes with a job when it is deleted, besides what its own columns name. Blocking code."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final
from uuid import UUID

from denoise_relay.models import DerivedFile, Event, Segment, Waveform

# In queries of their own: a cascade would fetch all rows first.
_TABLES: Final = (Event, Segment, Waveform, DerivedFile)


def delete_rows(alias: str, jobs: Collection[UUID]) -> None:
    """Delete the rows that belong to these jobs, in the caller's transaction."""
    for table in _TABLES:
        table._default_manager.using(alias).filter(job__in=jobs).delete()


def derived_files(alias: str, jobs: Collection[UUID]) -> set[str]:
    """The names of the files that were made from these jobs' recordings. No other job has them."""
    rows = DerivedFile.objects.using(alias).filter(job__in=jobs)
    return set(rows.values_list("file", flat=True))
