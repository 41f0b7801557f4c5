"""Pages and their data. Include at any prefix: `path("", include("denoise_relay.urls"))`."""

from __future__ import annotations

from django.urls import path

from denoise_relay.live import event_stream
from denoise_relay.media import views as media_views
from denoise_relay.uploads import tus
from denoise_relay.views import health, jobs, metrics, unavailable, upload

app_name = "denoise_relay"
urlpatterns = [
    path("", upload.upload, name="upload"),
    path("jobs/<uuid:job_id>/", jobs.job, name="job"),
    path("jobs/<uuid:job_id>/status/", jobs.status, name="status"),
    path("jobs/<uuid:job_id>/events/", event_stream.events, name="events"),
    path("jobs/<uuid:job_id>/audio/<str:kind>/", media_views.audio, name="audio"),
    path("jobs/<uuid:job_id>/cancel/", jobs.cancel, name="cancel"),
    path("jobs/<uuid:job_id>/retry/", jobs.retry, name="retry"),
    path("uploads/", tus.collection, name="tus"),
    path("uploads/<str:upload_id>/", tus.upload, name="tus_upload"),
    path("healthz/live", health.live, name="live"),
    path("healthz/ready", health.ready, name="ready"),
    path("metrics", metrics.metrics, name="metrics"),
]
unavailable.guard(urlpatterns)
