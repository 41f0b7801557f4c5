"""Files that were made from a job's recordings: which there are, and where. Blocking code."""

from __future__ import annotations

from typing import Final

from denoise_relay.formats import extension_of
from denoise_relay.models import DerivedFile, Job, current_jobs

#: Both recordings as the channels of one file, for the player.
COMPARISON: Final = "comparison"
#: The two recordings of a job.
SIDES: Final = ("original", "denoised")
#: Media types of pictures, by extension.
IMAGE_TYPES: Final = {"png": "image/png", "webp": "image/webp"}


def spectrogram(side: str) -> str:
    """The kind of a side's spectrogram."""
    return f"spectrogram-{side}"


def stored_name(job: Job, kind: str) -> str:
    """The name of the job's file of this kind in the storage; "" if there is none."""
    # Not from a replica that lags: a page that was told of the file does not ask again.
    files = DerivedFile.objects.using(current_jobs().db)
    return files.filter(job=job.pk, kind=kind).values_list("file", flat=True).first() or ""


def image_type_of(name: str) -> str:
    """The media type of a picture; "" for anything that is none."""
    return IMAGE_TYPES.get(extension_of(name), "")
