"""The pages of a comparison: its state, one trial at a time, the results, and the recordings.

Nothing in a trial's page or URLs says which variant is which.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_GET, require_http_methods, require_safe

from denoise_relay import access
from denoise_relay.access import Viewer
from denoise_relay.comparison import readiness, votes
from denoise_relay.comparison.export import csv_lines
from denoise_relay.comparison.permissions import get_comparison, may
from denoise_relay.comparison.results import results_of
from denoise_relay.comparison.trials import Trial
from denoise_relay.comparison.votes import Progress
from denoise_relay.media.responses import blind_response
from denoise_relay.models import Answer, Comparison, Method

#: Longest time to an answer that is kept: a page left open over night says nothing.
LONGEST_MILLISECONDS = 3_600_000

_private = cache_control(private=True, no_cache=True)


@_private
@require_safe
async def overview(request: HttpRequest, comparison_id: UUID) -> HttpResponse:
    """What can be heard, where the listener stands, and where to go on."""
    viewer = await access.viewer_of(request)
    return await sync_to_async(_overview)(request, viewer, comparison_id)


def _overview(request: HttpRequest, viewer: Viewer, comparison_id: UUID) -> HttpResponse:
    comparison = get_comparison(viewer, comparison_id)
    methods = _progress(viewer, comparison)
    context = {
        "comparison": comparison,
        "readiness": readiness.count(comparison),
        "methods": methods,
        "finished": _finished(methods),
        "may_reveal": may(viewer, "change"),
    }
    return render(request, "denoise_relay/comparison/overview.html", context)


@_private
@require_http_methods(["GET", "HEAD", "POST"])
async def listen(request: HttpRequest, comparison_id: UUID, method: str) -> HttpResponse:
    """GET: the next trial (`?again=1`: of another round), or 302 when there is none.

    POST: an answer: `item`, `round`, `answer`, maybe `milliseconds`. 302 to the next trial; an
    answer that was given before stays as it is.
    """
    viewer = await access.viewer_of(request)
    view = _vote if request.method == "POST" else _trial
    return await sync_to_async(view)(request, viewer, comparison_id, _method(method))


def _trial(
    request: HttpRequest, viewer: Viewer, comparison_id: UUID, method: Method
) -> HttpResponse:
    comparison = get_comparison(viewer, comparison_id)
    progress = votes.progress(viewer, comparison, method, again="again" in request.GET)
    trial = progress.trial
    if trial is None:
        name = "comparison_results" if progress.finished else "comparison"
        return HttpResponseRedirect(reverse(f"denoise_relay:{name}", args=[comparison.pk]))
    context = {
        "comparison": comparison,
        "trial": trial,
        "number": progress.answered + 1,
        "total": progress.total,
        "sides": [(side, _audio_url(comparison, trial, side)) for side in trial.sides],
        "answers": [answer for answer in Answer if answer != Answer.SAME or not trial.x],
    }
    return render(request, "denoise_relay/comparison/listen.html", context)


def _audio_url(comparison: Comparison, trial: Trial, side: str) -> str:
    args = [comparison.pk, trial.method.value, trial.item.pk, trial.round, side]
    return reverse("denoise_relay:comparison_audio", args=args)


def _vote(
    request: HttpRequest, viewer: Viewer, comparison_id: UUID, method: Method
) -> HttpResponse:
    comparison = get_comparison(viewer, comparison_id)
    form = request.POST
    item, number = _whole(form.get("item")), _whole(form.get("round"))
    if item is None or number is None:
        return HttpResponse(status=400)
    trial = votes.find_trial(viewer, comparison, method, item, number)
    if trial is None:
        raise Http404("No such trial.")
    milliseconds = _whole(form.get("milliseconds"))
    if milliseconds is not None and milliseconds > LONGEST_MILLISECONDS:
        milliseconds = None
    try:
        votes.vote(viewer, trial, Answer(form.get("answer", "")), milliseconds)
    except ValueError:
        return HttpResponse(status=400)
    return HttpResponseRedirect(request.path)


@_private
@require_safe
async def results(request: HttpRequest, comparison_id: UUID) -> HttpResponse:
    """The results and which variant is which, for listeners who have finished a round, and with
    `?reveal=1` for staff who may change comparisons. Others go to the comparison's page."""
    viewer = await access.viewer_of(request)
    return await sync_to_async(_results)(request, viewer, comparison_id)


def _results(request: HttpRequest, viewer: Viewer, comparison_id: UUID) -> HttpResponse:
    comparison = get_comparison(viewer, comparison_id)
    methods = _progress(viewer, comparison)
    finished = _finished(methods)
    if not finished and not ("reveal" in request.GET and may(viewer, "change")):
        return HttpResponseRedirect(reverse("denoise_relay:comparison", args=[comparison.pk]))
    context = {
        "comparison": comparison,
        "results": results_of(comparison),
        "finished": finished,
        "methods": methods,
    }
    return render(request, "denoise_relay/comparison/results.html", context)


@require_GET
async def votes_csv(request: HttpRequest, comparison_id: UUID) -> HttpResponseBase:
    """All votes, for those who may see the results."""
    viewer = await access.viewer_of(request)
    comparison = await sync_to_async(_comparison_to_export)(viewer, comparison_id)
    response = StreamingHttpResponse(csv_lines(comparison), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="votes-{comparison.pk}.csv"'
    response["Cache-Control"] = "private, no-store"
    return response


def _comparison_to_export(viewer: Viewer, comparison_id: UUID) -> Comparison:
    comparison = get_comparison(viewer, comparison_id)
    if not may(viewer, "change") and not _finished(_progress(viewer, comparison)):
        raise Http404("No such comparison.")
    return comparison


@require_GET
async def audio(
    request: HttpRequest, comparison_id: UUID, method: str, item: int, number: int, side: str
) -> HttpResponseBase:
    """One side of a trial: `a`, `b`, `x` or `o`, the original."""
    viewer = await access.viewer_of(request)

    def stored_name() -> str:
        comparison = get_comparison(viewer, comparison_id)
        trial = votes.find_trial(viewer, comparison, _method(method), item, number)
        return trial.stored_name(side) if trial else ""

    name = await sync_to_async(stored_name)()
    if not name:
        raise Http404("No such trial.")
    return await blind_response(request, name)


def _progress(viewer: Viewer, comparison: Comparison) -> list[tuple[Method, Progress]]:
    return [(method, votes.progress(viewer, comparison, method)) for method in Method]


def _finished(methods: Iterable[tuple[Method, Progress]]) -> bool:
    return any(progress.finished for _, progress in methods)


def _method(text: str) -> Method:
    try:
        return Method(text)
    except ValueError:
        raise Http404("No such method.") from None


def _whole(text: Any) -> int | None:
    """A number of the form; None if it is none that a column holds."""
    return int(text) if text and len(text) < 10 and text.isascii() and text.isdigit() else None
