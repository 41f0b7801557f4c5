"""Jobs in the admin: read-only; retry and cancel go through `jobs.actions`.

No script and no style is inline, so that a strict Content-Security-Policy works here, too.
The cost of the list page does not grow with the number of jobs.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import filesizeformat
from django.urls import NoReverseMatch
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from denoise_relay import presentation
from denoise_relay.admin import statistics
from denoise_relay.admin.filters import BackendFilter, PresetFilter, WarningFilter
from denoise_relay.admin.job_actions import JobActions
from denoise_relay.admin.large_tables import BoundedPaginator, JobList, JobsByDate, matching
from denoise_relay.admin.make_comparison import CompareAction
from denoise_relay.admin.parts import PartInline
from denoise_relay.backends import presets
from denoise_relay.lifecycle import ACTIVE
from denoise_relay.models import Job, StatusChoices

if TYPE_CHECKING:
    JobBase = admin.ModelAdmin[Job]
else:
    JobBase = admin.ModelAdmin

#: Events shown of one job, the latest.
TIMELINE_LENGTH = 200


@admin.register(Job)
class JobAdmin(JobActions, CompareAction, JobBase):
    """The list, a read-only page with the timeline and both players, *retry* and *cancel*."""

    class Media:
        css: ClassVar = {"all": ["denoise_relay/admin.css"]}

    inlines = (PartInline,)
    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    list_max_show_all = 200
    list_select_related = ("owner",)
    list_display = (
        "file_name",
        "badge",
        "progress",
        "owner",
        "age",
        "work",
        "preset",
        "backend",
        "attempt",
        "upstream_id",
    )
    # The other columns have no index.
    sortable_by = ("age",)
    list_filter = (
        "status",
        PresetFilter,
        BackendFilter,
        WarningFilter,
        "is_video",
        ("owner", admin.EmptyFieldListFilter),
    )
    date_hierarchy = "created_at"
    # Django shows the search box only with these; `get_search_results` searches.
    search_fields = ("file_name", "id", "upstream_id", "owner__username")
    search_help_text = gettext_lazy("File name, job id, upstream id, or owner")
    actions = ("retry_selected", "cancel_selected", "compare_selected")
    fields = (
        "file_name",
        "badge",
        "progress",
        "message",
        "warning",
        "error_detail",
        "owner",
        "api_key",
        "size",
        "duration",
        "excerpt",
        "is_video",
        "work",
        "preset",
        "strength",
        "loudness",
        "measured",
        "backend",
        "attempt",
        "upstream_id",
        "fetchable",
        "retry_of",
        "lease_owner",
        "lease_until",
        "created_at",
        "started_at",
        "finished_at",
        "id",
    )

    # Who may do what

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Job | None = None) -> bool:
        """Nobody edits a row: Django shows the page without a form and refuses a POST."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Job | None = None) -> bool:
        return False

    # Columns

    @admin.display(description=gettext_lazy("status"))
    def badge(self, job: Job) -> SafeString:
        label = StatusChoices(job.status).label
        badge = format_html('<span class="denoise-badge denoise-{}">{}</span>', job.status, label)
        if not job.warning:
            return badge
        return format_html('{} <span title="{}">{}</span>', badge, job.warning, _("with a warning"))

    @admin.display(description=gettext_lazy("progress"))
    def progress(self, job: Job) -> str:
        return f"{job.pct:g}%"

    @admin.display(description=gettext_lazy("age"), ordering="created_at")
    def age(self, job: Job) -> str:
        return timesince(job.created_at, depth=1)

    @admin.display(description=gettext_lazy("work"))
    def work(self, job: Job) -> str:
        """Time from the first runner's start to the end, or to now; empty while it waits."""
        if job.started_at is None:
            return ""
        took: timedelta = (job.finished_at or timezone.now()) - job.started_at
        return presentation.clock(max(took.total_seconds(), 0.0))

    @admin.display(description=gettext_lazy("size"))
    def size(self, job: Job) -> str:
        return filesizeformat(job.size_bytes)

    @admin.display(description=gettext_lazy("duration"))
    def duration(self, job: Job) -> str:
        return presentation.clock(job.duration_seconds)

    @admin.display(description=gettext_lazy("excerpt of"))
    def excerpt(self, job: Job) -> str:
        """Where it begins, and the recording that it was cut from."""
        if not job.whole:
            return ""
        return f"{presentation.clock(job.excerpt_start_seconds)}, {job.whole_name}"

    @admin.display(description=gettext_lazy("noise removal"))
    def strength(self, job: Job) -> str:
        limit = job.max_attenuation_db
        return "" if limit is None else _("at most %(limit)s dB") % {"limit": f"{limit:g}"}

    @admin.display(description=gettext_lazy("loudness target"))
    def loudness(self, job: Job) -> str:
        return "" if job.loudness_lufs is None else f"{job.loudness_lufs:g} LUFS"

    @admin.display(description=gettext_lazy("statistics"))
    def measured(self, job: Job) -> SafeString | str:
        return statistics.table(job.statistics)

    # The list

    def get_queryset(self, request: HttpRequest) -> QuerySet[Job]:
        plain = super().get_queryset(request)
        return JobsByDate(model=plain.model, query=plain.query, using=plain.db)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return JobList

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        found = super().get_changelist_instance(request)
        if found.query:
            # Each date of the hierarchy would repeat the search.
            found.date_hierarchy = None
        return found

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Job], search_term: str
    ) -> tuple[QuerySet[Job], bool]:
        """A UUID is looked up by key; other words are searched for in names."""
        term = search_term.strip()
        if not term:
            return queryset, False
        try:
            job_id = UUID(term)
        except ValueError:
            return queryset.filter(matching(term)), False
        by_id = queryset.filter(pk=job_id)
        return (by_id if by_id.exists() else queryset.filter(upstream_id=term)), False

    # One job

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        job = self.get_object(request, object_id)
        extra = dict(extra_context or {})
        if job is not None and self.has_view_permission(request, job):
            latest = job.events.order_by("-seq")[:TIMELINE_LENGTH]
            extra |= {
                "timeline": list(latest)[::-1],
                "timeline_length": TIMELINE_LENGTH,
                "players": _players(job),
                "may_retry": job.ended and self.has_control_permission(request),
                "may_fetch": job.fetchable and self.has_control_permission(request),
                "may_denoise_whole": job.whole and self.has_control_permission(request),
                "other_presets": presets.others(job.preset),
                "may_cancel": job.status in ACTIVE and self.has_control_permission(request),
            }
        return super().change_view(request, object_id, form_url, extra)


def _players(job: Job) -> list[tuple[str, str]]:
    """Labels and URLs of the recordings that can be played."""
    try:
        links = presentation.links_of(job)
    except NoReverseMatch:  # a site without our pages
        return []
    players = [(_("Original"), links.original)]
    return [*players, (_("Denoised"), links.denoised)] if job.result or job.result_url else players
