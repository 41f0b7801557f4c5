"""Retry and cancel in the admin, for one job or a selection.

Both call `jobs.actions`, as the pages and the API do. It is loaded when it is needed: a command
that loads the admin, as most do, needs no engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as gettext_admin  # the text is Django's
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST

from denoise_relay.exceptions import NotEnded, RecordingDeleted, UploadRejected
from denoise_relay.models import Job

if TYPE_CHECKING:
    JobBase = admin.ModelAdmin[Job]
else:
    JobBase = object

#: Jobs of one action at most: each is a transaction of its own.
ACTION_LIMIT = 200
#: Heads the column of boxes; Django's script knows its id.
TOGGLE = format_html('<input type="checkbox" id="{}">', "action-toggle")


class JobActions(JobBase):
    """Mixed into the admin of jobs: two actions of the list, two buttons of a job's page."""

    def has_control_permission(self, request: HttpRequest) -> bool:
        """Retry and cancel need the model permission `change`."""
        return request.user.has_perm("denoise_relay.change_job")

    @admin.display(description=TOGGLE)
    def action_checkbox(self, obj: Job) -> SafeString:
        """Django's own box, without a template for each row: a fifth of the list's time."""
        return format_html(
            '<input type="checkbox" name="{}" value="{}" class="action-select" aria-label="{}">',
            ACTION_CHECKBOX_NAME,
            obj.pk,
            gettext_admin("Select this object for an action - {}").format(obj),
        )

    @admin.action(description=gettext_lazy("Retry selected jobs"), permissions=["control"])
    def retry_selected(self, request: HttpRequest, queryset: QuerySet[Job]) -> None:
        self._retry(request, self._selected(request, queryset))

    @admin.action(description=gettext_lazy("Cancel selected jobs"), permissions=["control"])
    def cancel_selected(self, request: HttpRequest, queryset: QuerySet[Job]) -> None:
        self._cancel(request, self._selected(request, queryset))

    def _selected(self, request: HttpRequest, queryset: QuerySet[Job]) -> Sequence[Job]:
        """The selected jobs; none, with a message, if there are more than `ACTION_LIMIT`."""
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

    def _retry(self, request: HttpRequest, selected: Iterable[Job], preset: str = "") -> list[Job]:
        from denoise_relay.jobs import actions

        retried = []
        refused = deleted = 0
        for job in selected:
            try:
                retried.append(actions.retry(job, preset))
            except NotEnded:
                refused += 1
            except (RecordingDeleted, IntegrityError):
                deleted += 1
            else:
                self.log_change(request, job, f"Retried as {retried[-1].pk}.")
        if retried:
            text = ngettext(
                "%(n)d job was queued again.", "%(n)d jobs were queued again.", len(retried)
            )
            self.message_user(request, text % {"n": len(retried)}, messages.SUCCESS)
        if refused:
            text = ngettext(
                "%(n)d job has not ended yet and was left alone.",
                "%(n)d jobs have not ended yet and were left alone.",
                refused,
            )
            self.message_user(request, text % {"n": refused}, messages.WARNING)
        if deleted:
            text = ngettext(
                "The recording of %(n)d job has been deleted.",
                "The recordings of %(n)d jobs have been deleted.",
                deleted,
            )
            self.message_user(request, text % {"n": deleted}, messages.ERROR)
        return retried

    def _cancel(self, request: HttpRequest, selected: Iterable[Job]) -> None:
        from denoise_relay.jobs import actions

        canceled = ended = 0
        for job in selected:
            if actions.cancel(job):
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

    def get_urls(self) -> list[URLPattern]:
        def button(verb: str) -> URLPattern:
            view = self.admin_site.admin_view(require_POST(getattr(self, f"{verb}_view")))
            route: URLPattern = path(
                f"<uuid:job_id>/{verb}/", view, name=f"denoise_relay_job_{verb}"
            )
            return route

        return [
            button("retry"),
            button("cancel"),
            button("whole"),
            button("fetch"),
            *super().get_urls(),
        ]

    def retry_view(self, request: HttpRequest, job_id: UUID) -> HttpResponse:
        job = self._job_to_control(request, job_id)
        try:
            retried = self._retry(request, [job], request.POST.get("preset", ""))
        except UploadRejected as error:  # the backend has lost the preset since the page was made
            self.message_user(request, str(error), messages.ERROR)
            retried = []
        return self._page_of(retried[0].pk if retried else job_id)

    def cancel_view(self, request: HttpRequest, job_id: UUID) -> HttpResponse:
        self._cancel(request, [self._job_to_control(request, job_id)])
        return self._page_of(job_id)

    def whole_view(self, request: HttpRequest, job_id: UUID) -> HttpResponse:
        """Denoise the whole recording of an excerpt, and show that job."""
        from denoise_relay.jobs import actions

        return self._successor(request, job_id, actions.denoise_whole, "The whole of it is {}.")

    def fetch_view(self, request: HttpRequest, job_id: UUID) -> HttpResponse:
        """Fetch the result that the backend may have, as a new job, and show that."""
        from denoise_relay.jobs import fetching

        text = "Its result is fetched again as {}."
        return self._successor(request, job_id, fetching.fetch_again, text)

    def _successor(
        self, request: HttpRequest, job_id: UUID, make: Callable[[Job], Job], text: str
    ) -> HttpResponse:
        """Make another job from this one, note it in the log with this text, and show it."""
        job = self._job_to_control(request, job_id)
        try:
            made = make(job)
        except (ValueError, IntegrityError, FileNotFoundError) as error:
            raise Http404 from error
        self.log_change(request, job, text.format(made.pk))
        return self._page_of(made.pk)

    def _job_to_control(self, request: HttpRequest, job_id: UUID) -> Job:
        if not self.has_control_permission(request):
            raise PermissionDenied
        job = Job.objects.select_related("owner", "api_key").filter(pk=job_id).first()
        if job is None:
            raise Http404
        return job

    def _page_of(self, job_id: UUID) -> HttpResponse:
        name = f"{self.admin_site.name}:denoise_relay_job_change"
        return HttpResponseRedirect(reverse(name, args=[job_id]))
