"""URLs of the API. Include them where clients expect them: `path("api/v1/", include(…))`."""

from __future__ import annotations

from django.urls import path

from denoise_relay.api import errors, previews, views
from denoise_relay.views import unavailable

app_name = "denoise_relay_api"
# `str`, not `uuid`: the 404 for a malformed id must have the contract's JSON, too.
urlpatterns = [
    path("denoise", views.denoise, name="denoise"),
    path("denoise/<str:job_id>", views.job, name="job"),
    path("denoise/<str:job_id>/progress", views.progress, name="progress"),
    path("denoise/<str:job_id>/cancel", views.cancel, name="cancel"),
    path("denoise/<str:job_id>/whole", views.whole, name="whole"),
    path("denoise/<str:job_id>/waveform/<str:side>", previews.waveform, name="waveform"),
    path("denoise/<str:job_id>/preview/<str:number>", previews.preview, name="preview"),
    path("denoise/<str:job_id>/audio/<str:kind>", views.audio, name="audio"),
]
unavailable.guard(urlpatterns, errors.unavailable)
