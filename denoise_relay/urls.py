"""Pages and their data. Include at any prefix: `path("", include("denoise_relay.urls"))`."""

from __future__ import annotations

from django.urls import path

from denoise_relay.views.lazy import lazy

app_name = "denoise_relay"
urlpatterns = [
    path("", lazy("views.upload.upload"), name="upload"),
    path("jobs/<uuid:job_id>/", lazy("views.jobs.job"), name="job"),
    path("jobs/<uuid:job_id>/status/", lazy("views.jobs.status"), name="status"),
    path("jobs/<uuid:job_id>/events/", lazy("live.event_stream.events"), name="events"),
    path("jobs/<uuid:job_id>/audio/<str:kind>/", lazy("media.views.audio"), name="audio"),
    path(
        "jobs/<uuid:job_id>/waveform/<str:side>/",
        lazy("media.analysis_views.waveform"),
        name="waveform",
    ),
    path(
        "jobs/<uuid:job_id>/preview/<str:number>/",
        lazy("media.analysis_views.preview"),
        name="preview",
    ),
    path(
        "jobs/<uuid:job_id>/spectrogram/<str:side>/",
        lazy("media.analysis_views.spectrogram"),
        name="spectrogram",
    ),
    path(
        "jobs/<uuid:job_id>/statistics/", lazy("media.analysis_views.statistics"), name="statistics"
    ),
    path("jobs/<uuid:job_id>/download/", lazy("media.download_views.download"), name="download"),
    path("jobs/<uuid:job_id>/cancel/", lazy("views.jobs.cancel"), name="cancel"),
    path("jobs/<uuid:job_id>/retry/", lazy("views.jobs.retry"), name="retry"),
    path("jobs/<uuid:job_id>/whole/", lazy("views.jobs.whole"), name="whole"),
    path("jobs/<uuid:job_id>/delete/", lazy("views.jobs.delete"), name="delete"),
    path("comparisons/<uuid:comparison_id>/", lazy("comparison.views.overview"), name="comparison"),
    path(
        "comparisons/<uuid:comparison_id>/results/",
        lazy("comparison.views.results"),
        name="comparison_results",
    ),
    path(
        "comparisons/<uuid:comparison_id>/votes.csv",
        lazy("comparison.views.votes_csv"),
        name="comparison_csv",
    ),
    path(
        "comparisons/<uuid:comparison_id>/<str:method>/",
        lazy("comparison.views.listen"),
        name="comparison_listen",
    ),
    path(
        "comparisons/<uuid:comparison_id>/<str:method>/<int:item>/<int:number>/<str:side>/",
        lazy("comparison.views.audio"),
        name="comparison_audio",
    ),
    path("uploads/", lazy("uploads.tus.collection"), name="tus"),
    path("uploads/<str:upload_id>/", lazy("uploads.tus.upload"), name="tus_upload"),
    path("healthz/live", lazy("views.health.live"), name="live"),
    path("healthz/ready", lazy("views.health.ready"), name="ready"),
    path("metrics", lazy("views.metrics.metrics"), name="metrics"),
]
