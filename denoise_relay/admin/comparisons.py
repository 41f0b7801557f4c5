"""Comparisons in the admin: the list, with links to the pages where they are listened to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from denoise_relay.access import Viewer
from denoise_relay.admin.make_comparison import MakeComparison
from denoise_relay.comparison.permissions import may
from denoise_relay.comparison.variants import variants_of
from denoise_relay.models import Comparison

if TYPE_CHECKING:
    ComparisonBase = admin.ModelAdmin[Comparison]
else:
    ComparisonBase = admin.ModelAdmin


@admin.register(Comparison)
class ComparisonAdmin(MakeComparison, ComparisonBase):
    """The list. Comparisons are made of selected jobs, and then listened to or deleted."""

    list_display = ("title", "variants", "recordings", "created_by", "created_at", "page")
    list_select_related = ("created_by",)
    list_per_page = 50
    fields = ("title", "variants", "created_by", "created_at", "page")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Not from an empty form."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Comparison | None = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Comparison | None = None) -> bool:
        return may(Viewer(user=request.user), "view")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Comparison]:
        return super().get_queryset(request).annotate(item_count=Count("items"))

    @admin.display(description=gettext_lazy("variants"))
    def variants(self, comparison: Comparison) -> str:
        return " / ".join(variant.label for variant in variants_of(comparison))

    @admin.display(description=gettext_lazy("recordings"))
    def recordings(self, comparison: Comparison) -> int:
        return int(comparison.item_count)  # type: ignore[attr-defined] # annotated

    @admin.display(description=gettext_lazy("page"))
    def page(self, comparison: Comparison) -> SafeString | str:
        try:
            url = reverse("denoise_relay:comparison", args=[comparison.pk])
        except NoReverseMatch:  # a site without our pages
            return ""
        return format_html('<a href="{}">{}</a>', url, _("Listen"))
