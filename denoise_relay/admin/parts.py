"""The parts of a job, on its page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin
from django.http import HttpRequest

from denoise_relay.models import Job, Part

if TYPE_CHECKING:
    PartBase = admin.TabularInline[Part, Job]
else:
    PartBase = admin.TabularInline


class PartInline(PartBase):
    """Read only, and shown only where there are some."""

    model = Part
    fields = ("index", "submission", "attempt", "failures", "upstream_id", "submitted_at")
    readonly_fields = fields
    extra = 0

    def has_add_permission(self, request: HttpRequest, obj: Job | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Job | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Job | None = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Job | None = None) -> bool:
        # The job's own page asked first. For the rows, Django asks without the job.
        return obj is None or obj.parts.exists()
