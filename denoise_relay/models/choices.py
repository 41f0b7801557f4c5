"""Enums as tables know them: with labels for people, and in constraints."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from django.db import models
from django.utils.translation import gettext_lazy as _

from denoise_relay.lifecycle import Status


def values(members: Iterable[StrEnum]) -> list[str]:
    """Plain strings for constraints, so that migrations do not import the enums."""
    return sorted(member.value for member in members)


class StatusChoices(models.TextChoices):
    """`lifecycle.Status` with labels for people."""

    QUEUED = Status.QUEUED.value, _("Queued")
    SUBMITTING = Status.SUBMITTING.value, _("Uploading")
    PROCESSING = Status.PROCESSING.value, _("Processing")
    DONE = Status.DONE.value, _("Done")
    ERROR = Status.ERROR.value, _("Failed")
    CANCELED = Status.CANCELED.value, _("Canceled")
