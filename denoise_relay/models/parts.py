"""The table of parts: a recording that is too long for one submission has several."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from denoise_relay.models.jobs import Job, media_storage


class Part(models.Model):
    """One part of a job's recording, with what a runner needs to continue it after a crash. Only
    `journal.parts` writes it."""

    job = models.ForeignKey(Job, models.CASCADE, related_name="parts")
    index = models.PositiveSmallIntegerField(_("part"))
    # Samples of the recording, without the overlap.
    start = models.PositiveBigIntegerField()
    end = models.PositiveBigIntegerField()

    #: By this id it is submitted and found again; a new one after a failure.
    submission = models.UUIDField(default=uuid.uuid4)
    attempt = models.PositiveSmallIntegerField(_("attempts"), default=0)
    submitted_at = models.DateTimeField(_("submitted"), null=True, blank=True)
    upstream_id = models.CharField(_("upstream id"), max_length=64, blank=True, default="")
    failures = models.PositiveSmallIntegerField(_("failures"), default=0)
    #: Deleted when the job has ended.
    result = models.FileField(
        # Named by `media.storage`, as a job's own result.
        _("result"),
        upload_to="denoise",
        storage=media_storage,
        max_length=255,
        blank=True,
    )

    class Meta:
        verbose_name = _("part")
        verbose_name_plural = _("parts")
        ordering = ("job", "index")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["job", "index"], name="relay_part_index_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.job_id} part {self.index}"
