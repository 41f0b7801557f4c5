"""Makes a comparison in the admin: an action of the list of jobs leads to a page with a form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods

from denoise_relay.access import Viewer
from denoise_relay.comparison import making
from denoise_relay.comparison.making import Choice, Recording
from denoise_relay.comparison.permissions import may
from denoise_relay.models import Comparison, Job

if TYPE_CHECKING:
    ComparisonBase = admin.ModelAdmin[Comparison]
    JobBase = admin.ModelAdmin[Job]
else:
    ComparisonBase = object
    JobBase = object


class CompareAction(JobBase):
    """Mixed into the admin of jobs: an action of the list that leads to the page below."""

    def has_compare_permission(self, request: HttpRequest) -> bool:
        """Comparing needs the model permission to add a comparison, and a site with our pages."""
        try:
            reverse("denoise_relay:upload")
        except NoReverseMatch:
            return False
        return may(Viewer(user=request.user), "add")

    @admin.action(description=gettext_lazy("Compare selected jobs…"), permissions=["compare"])
    def compare_selected(
        self, request: HttpRequest, queryset: QuerySet[Job]
    ) -> HttpResponse | None:
        jobs = [
            str(pk) for pk in queryset.values_list("pk", flat=True)[: making.RECORDING_LIMIT + 1]
        ]
        if len(jobs) > making.RECORDING_LIMIT:
            text = ngettext(
                "Select at most %(n)d job.", "Select at most %(n)d jobs.", making.RECORDING_LIMIT
            )
            self.message_user(request, text % {"n": making.RECORDING_LIMIT}, messages.ERROR)
            return None
        url = reverse(f"{self.admin_site.name}:denoise_relay_comparison_make")
        return HttpResponseRedirect(f"{url}?{urlencode({'job': jobs}, doseq=True)}")


class MakeForm(forms.Form):
    """Which two variants, and under which title."""

    title = forms.CharField(label=gettext_lazy("Title"), max_length=200)

    def __init__(self, *args: Any, found: list[Choice], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.by_key = {choice.variant.key: choice.variant for choice in found}
        options = [(choice.variant.key, _option(choice)) for choice in found]
        self.fields["first"] = forms.ChoiceField(label=_("First variant"), choices=options)
        self.fields["second"] = forms.ChoiceField(
            label=_("Second variant"),
            choices=options,
            initial=options[1][0] if len(options) > 1 else None,
        )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("first") and cleaned.get("first") == cleaned.get("second"):
            self.add_error("second", _("Choose two different variants."))
        return cleaned


def _option(choice: Choice) -> str:
    """A variant, with what it costs."""
    if not choice.missing:
        return choice.variant.label
    if choice.can_be_queued:
        text = ngettext("%(n)d new job", "%(n)d new jobs", choice.missing)
    else:
        text = ngettext(
            "%(n)d recording is left out", "%(n)d recordings are left out", choice.missing
        )
    return f"{choice.variant.label} ({text % {'n': choice.missing}})"


class MakeComparison(ComparisonBase):
    """Mixed into the admin of comparisons: the page that makes one of jobs."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_http_methods(["GET", "POST"])(self.make_view))
        return [path("make/", view, name="denoise_relay_comparison_make"), *super().get_urls()]

    def make_view(self, request: HttpRequest) -> HttpResponse:
        """GET with `job`s: choose two variants. POST: make the comparison, and go to its page."""
        viewer = Viewer(user=request.user)
        if not may(viewer, "add"):
            raise PermissionDenied
        recordings = making.recordings_of(viewer, _selected(request))
        found = making.choices(recordings)
        data = request.POST if request.method == "POST" else None
        form = MakeForm(data, found=found, initial={"title": _title(recordings)})
        if form.is_valid():
            pair = (
                form.by_key[form.cleaned_data["first"]],
                form.by_key[form.cleaned_data["second"]],
            )
            made = making.make(viewer, form.cleaned_data["title"], recordings, pair)
            if made is not None:
                self.log_addition(request, made, "Made of selected jobs.")
                return HttpResponseRedirect(reverse("denoise_relay:comparison", args=[made.pk]))
            form.add_error(None, _("No recording has both variants, and none can be made."))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("Compare recordings"),
            "form": form,
            "recordings": [recording.selected for recording in recordings],
            "longest_minutes": round(making.LONGEST_SECONDS / 60),
        }
        return TemplateResponse(request, "admin/denoise_relay/comparison/make.html", context)


def _selected(request: HttpRequest) -> QuerySet[Job]:
    """The jobs that the URL names, newest first; what is no id is left out."""
    found = []
    for text in request.GET.getlist("job")[: making.RECORDING_LIMIT]:
        try:
            found.append(UUID(text))
        except ValueError:
            continue
    jobs = Job.objects.filter(pk__in=found).select_related("owner", "api_key")
    return jobs.order_by("-created_at", "-id")


def _title(recordings: list[Recording]) -> str:
    """A title to begin with. Without the variants: listeners see it."""
    n = len(recordings)
    return ngettext("%(n)d recording", "%(n)d recordings", n) % {"n": n}
