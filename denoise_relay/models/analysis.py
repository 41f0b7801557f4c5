"""The tables of what is made from recordings, for the player and for downloads.

All of it can be made again, and all of it is deleted with its job.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from denoise_relay.models.jobs import Job, media_storage


class Waveform(models.Model):
    """The waveform of one of a job's recordings, complete (`denoise_relay.waveform`)."""

    job = models.ForeignKey(Job, models.CASCADE, related_name="waveforms")
    #: `original` or `denoised`.
    side = models.CharField(max_length=10)
    sample_rate = models.PositiveIntegerField()
    samples_per_pixel = models.PositiveIntegerField()
    #: A minimum and a maximum of 8 bits for each pixel, compressed by zlib.
    peaks = models.BinaryField()

    class Meta:
        verbose_name = _("waveform")
        verbose_name_plural = _("waveforms")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["job", "side"], name="relay_waveform_side_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.job_id} {self.side}"


class Segment(models.Model):
    """A few seconds of the clean recording of a job that runs: people see and hear it grow.

    All segments of a job but the last are equally long. Deleted when the job has ended.
    """

    job = models.ForeignKey(Job, models.CASCADE, related_name="segments")
    #: From 0.
    number = models.PositiveIntegerField()
    duration_seconds = models.FloatField()
    sample_rate = models.PositiveIntegerField()
    samples_per_pixel = models.PositiveIntegerField()
    #: A minimum and a maximum of 8 bits for each pixel, not compressed.
    peaks = models.BinaryField()
    #: A FLAC file, mono, at most 24 kHz.
    audio = models.BinaryField()

    class Meta:
        verbose_name = _("segment")
        verbose_name_plural = _("segments")
        ordering = ("job", "number")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["job", "number"], name="relay_segment_number_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.job_id} segment {self.number}"


class DerivedFile(models.Model):
    """A file that was made from a job's recordings and is stored beside them."""

    job = models.ForeignKey(Job, models.CASCADE, related_name="derived_files")
    #: `comparison`, `spectrogram-original`, `spectrogram-denoised`, or a download: `mp3-0.80`.
    kind = models.CharField(max_length=40)
    file = models.FileField(
        # Named by `media.storage`, as a job's own result.
        upload_to="denoise",
        storage=media_storage,
        max_length=255,
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("derived file")
        verbose_name_plural = _("derived files")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["job", "kind"], name="relay_derived_kind_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.job_id} {self.kind}"
