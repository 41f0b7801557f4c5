"""The table of what one process of many does from time to time."""

from __future__ import annotations

from django.db import models


class ScheduledTask(models.Model):
    """When a task is due again. Only `journal.schedule` writes it."""

    name = models.CharField(primary_key=True, max_length=32)
    due_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name
