"""The demo site's routes, and beside them the same lists as Django's own classes make them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.mixins import LoginRequiredMixin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.utils.html import format_html_join
from django.views.generic import ListView

from denoise_relay.models import Job
from project.urls import urlpatterns as site_urls

plain_site = admin.AdminSite(name="plain")


@admin.register(Job, site=plain_site)
class PlainAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """What a tutorial registers."""

    list_display = ("file_name", "status", "pct", "owner", "created_at", "backend", "upstream_id")
    list_filter = ("status", "is_video", "backend")
    search_fields = ("file_name", "upstream_id", "owner__username")
    date_hierarchy = "created_at"
    list_per_page = 50


class PlainList(LoginRequiredMixin, ListView):  # type: ignore[type-arg]
    """A person's jobs, by the generic view and its paginator."""

    paginate_by = 20

    def get_queryset(self) -> QuerySet[Job]:
        return Job.objects.filter(owner=self.request.user.pk)

    def render_to_response(self, context: dict[str, Any], **_: Any) -> HttpResponse:
        pages = context["paginator"].num_pages
        names = format_html_join("", "<li>{}</li>", [(job,) for job in context["object_list"]])
        return HttpResponse(f"<ul>{names}</ul>{pages} pages")


def plain_history(request: HttpRequest) -> JsonResponse:
    """Records by offset and limit."""
    offset, limit = int(request.GET["offset"]), int(request.GET["limit"])
    jobs = Job.objects.filter(owner=request.user.pk)[offset : offset + limit]
    found: list[dict[str, Any]] = [
        {"id": job.pk, "file_name": job.file_name, "changed": job.events.latest("seq").at}
        for job in jobs
    ]
    return JsonResponse(found, safe=False)


urlpatterns = [
    path("plain/admin/", plain_site.urls),
    path("plain/list/", PlainList.as_view()),
    path("plain/history/", plain_history),
    *site_urls,
]
