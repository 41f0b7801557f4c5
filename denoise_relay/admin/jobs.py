"""Jobs for staff: read-only, and what staff do with them goes through `jobs`.

No script and no style is inline, so that a strict Content-Security-Policy holds here too.
Nothing on the list page costs more when there are more jobs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, cast
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.defaultfilters import filesizeformat
from django.urls import NoReverseMatch, URLPattern, path, reverse
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST

from denoise_relay import jobs, presentation
from denoise_relay.admin.dates import JobsByDate
from denoise_relay.lifecycle import ACTIVE, TERMINAL
from denoise_relay.models import Job, StatusChoices

if TYPE_CHECKING:
    JobBase = admin.ModelAdmin[Job]
else:
    JobBase = admin.ModelAdmin

COUNT_LIMIT = 10_000
"""Rows that the list counts, and so pages through; filters reach what is older."""
TIMELINE_LENGTH = 200
"""Events shown of one job, the latest."""
ACTION_LIMIT = 200
"""Jobs that one action takes: each is a transaction of its own."""
OWNERS_LIMIT = 100
"""Users that a search by name takes into account."""


class BoundedPaginator(Paginator[Job] if TYPE_CHECKING else Paginator):  # type: ignore[misc]
    """Stops counting at `COUNT_LIMIT`: a full count reads every row on PostgreSQL."""

    @cached_property
    def count(self) -> int:
        rows = cast("QuerySet[Job]", self.object_list)
        return rows.order_by()[:COUNT_LIMIT].count()


@admin.register(Job)
class JobAdmin(JobBase):
    """The list, a read-only page with the timeline and both players, *retry* and *cancel*."""

    class Media:
        css: ClassVar = {"all": ["denoise_relay/admin.css"]}

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
        "attempt",
        "upstream_id",
    )
    # Others have no index to sort by.
    sortable_by = ("age",)
    list_filter = ("status", "is_video", ("owner", admin.EmptyFieldListFilter))
    date_hierarchy = "created_at"
    # They make the search box appear; `get_search_results` does the work.
    search_fields = ("file_name", "id", "upstream_id", "owner__username")
    search_help_text = gettext_lazy("File name, job id, upstream id, or owner")
    actions = ("retry_selected", "cancel_selected")
    fields = (
        "file_name",
        "badge",
        "progress",
        "message",
        "error_detail",
        "owner",
        "api_key",
        "size",
        "duration",
        "is_video",
        "work",
        "attempt",
        "upstream_id",
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
        """Nobody edits a row: Django then shows the page without a form and refuses a POST."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Job | None = None) -> bool:
        return False

    def has_steer_permission(self, request: HttpRequest) -> bool:
        """Retry and cancel need the model permission `change`."""
        return request.user.has_perm("denoise_relay.change_job")

    # Columns

    @admin.display(description=gettext_lazy("status"))
    def badge(self, job: Job) -> SafeString:
        label = StatusChoices(job.status).label
        return format_html('<span class="denoise-badge denoise-{}">{}</span>', job.status, label)

    @admin.display(description=gettext_lazy("progress"))
    def progress(self, job: Job) -> str:
        return f"{job.pct:g}%"

    @admin.display(description=gettext_lazy("age"), ordering="created_at")
    def age(self, job: Job) -> str:
        return timesince(job.created_at, depth=1)

    @admin.display(description=gettext_lazy("work"))
    def work(self, job: Job) -> str:
        """From its first runner to its end, or to now; empty while it waits."""
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

    # The list

    def get_queryset(self, request: HttpRequest) -> QuerySet[Job]:
        plain = super().get_queryset(request)
        return JobsByDate(model=plain.model, query=plain.query, using=plain.db)

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        found = super().get_changelist_instance(request)
        if found.query:
            # The dates of a search would each be a search of their own.
            found.date_hierarchy = None
        return found

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Job], search_term: str
    ) -> tuple[QuerySet[Job], bool]:
        """A UUID goes straight to its row; other words are looked for in names."""
        term = search_term.strip()
        if not term:
            return queryset, False
        try:
            job_id = UUID(term)
        except ValueError:
            return queryset.filter(_named(term)), False
        by_id = queryset.filter(pk=job_id)
        return (by_id if by_id.exists() else queryset.filter(upstream_id=term)), False

    @admin.action(description=gettext_lazy("Retry selected jobs"), permissions=["steer"])
    def retry_selected(self, request: HttpRequest, queryset: QuerySet[Job]) -> None:
        self._retry(request, self._selected(request, queryset))

    @admin.action(description=gettext_lazy("Cancel selected jobs"), permissions=["steer"])
    def cancel_selected(self, request: HttpRequest, queryset: QuerySet[Job]) -> None:
        self._cancel(request, self._selected(request, queryset))

    def _selected(self, request: HttpRequest, queryset: QuerySet[Job]) -> Sequence[Job]:
        """The selection, or nothing and a message when it is too large to act on."""
        selected = list(queryset.select_related("owner", "api_key")[: ACTION_LIMIT + 1])
        if len(selected) <= ACTION_LIMIT:
            return selected
        text = ngettext(
            "Select at most %(n)d job at a time. Nothing was done.",
            "Select at most %(n)d jobs at a time. Nothing was done.",
            ACTION_LIMIT,
        )
        self.message_user(request, text % {"n": ACTION_LIMIT}, messages.ERROR)
        return ()

    # What staff do

    def _retry(self, request: HttpRequest, selected: Iterable[Job]) -> list[Job]:
        anew = []
        refused = 0
        for job in selected:
            if job.status in TERMINAL:
                anew.append(jobs.retry(job))
                self.log_change(request, job, f"Retried as {anew[-1].pk}.")
            else:
                refused += 1
        if anew:
            text = ngettext(
                "%(n)d job was queued again.", "%(n)d jobs were queued again.", len(anew)
            )
            self.message_user(request, text % {"n": len(anew)}, messages.SUCCESS)
        if refused:
            text = ngettext(
                "%(n)d job has not ended yet and was left alone.",
                "%(n)d jobs have not ended yet and were left alone.",
                refused,
            )
            self.message_user(request, text % {"n": refused}, messages.WARNING)
        return anew

    def _cancel(self, request: HttpRequest, selected: Iterable[Job]) -> None:
        canceled = ended = 0
        for job in selected:
            if jobs.cancel(job):
                self.log_change(request, job, "Canceled.")
                canceled += 1
            else:
                ended += 1
        if canceled:
            text = ngettext("%(n)d job was canceled.", "%(n)d jobs were canceled.", canceled)
            self.message_user(request, text % {"n": canceled}, messages.SUCCESS)
        if ended:
            text = ngettext("%(n)d job had ended already.", "%(n)d jobs had ended already.", ended)
            self.message_user(request, text % {"n": ended}, messages.WARNING)

    # One job

    def get_urls(self) -> list[URLPattern]:
        def steer(verb: str) -> URLPattern:
            view = self.admin_site.admin_view(require_POST(getattr(self, f"{verb}_view")))
            route: URLPattern = path(
                f"<uuid:job_id>/{verb}/", view, name=f"denoise_relay_job_{verb}"
            )
            return route

        return [steer("retry"), steer("cancel"), *super().get_urls()]

    def retry_view(self, request: HttpRequest, job_id: UUID) -> HttpResponse:
        anew = self._retry(request, [self._steered(request, job_id)])
        return self._page_of(anew[0].pk if anew else job_id)

    def cancel_view(self, request: HttpRequest, job_id: UUID) -> HttpResponse:
        self._cancel(request, [self._steered(request, job_id)])
        return self._page_of(job_id)

    def _steered(self, request: HttpRequest, job_id: UUID) -> Job:
        if not self.has_steer_permission(request):
            raise PermissionDenied
        job = Job.objects.select_related("owner", "api_key").filter(pk=job_id).first()
        if job is None:
            raise Http404
        return job

    def _page_of(self, job_id: UUID) -> HttpResponse:
        name = f"{self.admin_site.name}:denoise_relay_job_change"
        return HttpResponseRedirect(reverse(name, args=[job_id]))

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
                "may_retry": job.ended and self.has_steer_permission(request),
                "may_cancel": job.status in ACTIVE and self.has_steer_permission(request),
            }
        return super().change_view(request, object_id, form_url, extra)


def _named(term: str) -> Q:
    users = get_user_model()
    named = users._default_manager.filter(**{f"{users.USERNAME_FIELD}__icontains": term})
    # Looked up first: a join would make the database read every user beside every job.
    owners = list(named.values_list("pk", flat=True)[:OWNERS_LIMIT])
    return Q(file_name__icontains=term) | Q(upstream_id__startswith=term) | Q(owner__in=owners)


def _players(job: Job) -> list[tuple[str, str]]:
    """Labels and addresses of what can be played."""
    try:
        links = presentation.links_of(job)
    except NoReverseMatch:  # a site without our pages
        return []
    players = [(_("Original"), links.original)]
    return [*players, (_("Denoised"), links.denoised)] if job.result or job.result_url else players
