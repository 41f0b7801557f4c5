"""The table of events."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from denoise_relay.events import MESSAGE_LIMIT, Stage
from denoise_relay.models.choices import values
from denoise_relay.models.jobs import Job


class Event(models.Model):
    """One committed event of a job, numbered by `seq` from 1 without gaps."""

    job = models.ForeignKey(Job, models.CASCADE, related_name="events")
    seq = models.PositiveIntegerField()
    stage = models.CharField(max_length=10)
    pct = models.FloatField()
    message = models.CharField(max_length=MESSAGE_LIMIT, blank=True, default="")
    url = models.TextField(blank=True, default="")
    warning = models.CharField(max_length=MESSAGE_LIMIT, blank=True, default="", db_default="")
    at = models.DateTimeField()

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        ordering = ("job", "seq")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["job", "seq"], name="relay_event_seq_unique"),
            models.UniqueConstraint(
                fields=["job"],
                condition=Q(stage__in=[Stage.DONE.value, Stage.ERROR.value]),
                name="relay_event_one_terminal",
            ),
            models.CheckConstraint(
                condition=Q(stage__in=values(Stage)), name="relay_event_stage_valid"
            ),
            models.CheckConstraint(
                condition=Q(pct__gte=0.0, pct__lte=100.0), name="relay_event_pct_range"
            ),
            models.CheckConstraint(condition=Q(seq__gte=1), name="relay_event_seq_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.job_id} #{self.seq} {self.stage}"
