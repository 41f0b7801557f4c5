"""Pages and their data. Include at any prefix: `path("", include("denoise_relay.urls"))`."""

from __future__ import annotations

from django.urls import path

from denoise_relay.transport import sse
from denoise_relay.views import health, media, metrics, pages, tus, unavailable

app_name = "denoise_relay"
urlpatterns = [
    path("", pages.upload, name="upload"),
    path("jobs/<uuid:job_id>/", pages.job, name="job"),
    path("jobs/<uuid:job_id>/status/", pages.status, name="status"),
    path("jobs/<uuid:job_id>/events/", sse.events, name="events"),
    path("jobs/<uuid:job_id>/audio/<str:kind>/", media.audio, name="audio"),
    path("jobs/<uuid:job_id>/cancel/", pages.cancel, name="cancel"),
    path("jobs/<uuid:job_id>/retry/", pages.retry, name="retry"),
    path("uploads/", tus.collection, name="tus"),
    path("uploads/<str:upload_id>/", tus.upload, name="tus_upload"),
    path("healthz/live", health.live, name="live"),
    path("healthz/ready", health.ready, name="ready"),
    path("metrics", metrics.metrics, name="metrics"),
]
unavailable.guard(urlpatterns)
