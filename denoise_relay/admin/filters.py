"""Filters of the admin list by how a job is done, and by whether its result is doubtful.

Django's own filter for a column without choices selects its distinct values, which reads every
row. These know their values.
"""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from denoise_relay.backends import backend_class, presets
from denoise_relay.conf import SHORT_BACKENDS, relay_settings
from denoise_relay.models import Job

Lookups = list[tuple[str, str]]


class PresetFilter(admin.SimpleListFilter):
    """The presets that the backend offers now; not shown where there is nothing to choose."""

    title = _("preset")
    parameter_name = "preset"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin[Job]) -> Lookups:
        return [(preset.name, str(preset.label)) for preset in presets.choices()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Job]) -> QuerySet[Job]:
        return queryset.filter(preset=self.value()) if self.value() else queryset


class BackendFilter(admin.SimpleListFilter):
    """The backends of this package, and the configured one."""

    title = _("backend")
    parameter_name = "backend"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin[Job]) -> Lookups:
        names = {*SHORT_BACKENDS, backend_class(relay_settings()).name}
        return [(name, name) for name in sorted(names)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Job]) -> QuerySet[Job]:
        return queryset.filter(backend=self.value()) if self.value() else queryset


class WarningFilter(admin.SimpleListFilter):
    """Jobs whose result came with a warning."""

    title = _("warning")
    parameter_name = "warning"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin[Job]) -> Lookups:
        return [("yes", str(_("Has a warning")))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Job]) -> QuerySet[Job]:
        return queryset.exclude(warning="") if self.value() else queryset
