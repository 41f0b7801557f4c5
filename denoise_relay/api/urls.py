"""URLs of the API. Include them where clients expect them: `path("api/v1/", include(…))`."""

from __future__ import annotations

from django.urls import path

from denoise_relay.views.lazy import View, lazy


def _api(path: str, *, csrf_exempt: bool = True) -> View:
    # Programs have keys and no cookies.
    return lazy(f"api.{path}", answer="api.errors.unavailable", csrf_exempt=csrf_exempt)


app_name = "denoise_relay_api"
# `str`, not `uuid`: the 404 for a malformed id must have the contract's JSON, too.
urlpatterns = [
    path("denoise", _api("views.denoise"), name="denoise"),
    path("denoise/<str:job_id>", _api("views.job"), name="job"),
    path("denoise/<str:job_id>/progress", _api("views.progress"), name="progress"),
    path("denoise/<str:job_id>/cancel", _api("views.cancel"), name="cancel"),
    path("denoise/<str:job_id>/whole", _api("views.whole"), name="whole"),
    path("denoise/<str:job_id>/waveform/<str:side>", _api("previews.waveform"), name="waveform"),
    path("denoise/<str:job_id>/preview/<str:number>", _api("previews.preview"), name="preview"),
    path(
        "denoise/<str:job_id>/audio/<str:kind>",
        _api("views.audio", csrf_exempt=False),
        name="audio",
    ),
]
