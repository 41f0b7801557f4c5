"""Pages and their data. Include at any prefix: `path("", include("denoise_relay.urls"))`."""

from __future__ import annotations

from django.urls import path

from denoise_relay.comparison import views as comparison
from denoise_relay.live import event_stream
from denoise_relay.media import analysis_views as analysis
from denoise_relay.media import download_views
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
    path("jobs/<uuid:job_id>/waveform/<str:side>/", analysis.waveform, name="waveform"),
    path("jobs/<uuid:job_id>/preview/<str:number>/", analysis.preview, name="preview"),
    path("jobs/<uuid:job_id>/spectrogram/<str:side>/", analysis.spectrogram, name="spectrogram"),
    path("jobs/<uuid:job_id>/statistics/", analysis.statistics, name="statistics"),
    path("jobs/<uuid:job_id>/download/", download_views.download, name="download"),
    path("jobs/<uuid:job_id>/cancel/", jobs.cancel, name="cancel"),
    path("jobs/<uuid:job_id>/retry/", jobs.retry, name="retry"),
    path("jobs/<uuid:job_id>/whole/", jobs.whole, name="whole"),
    path("jobs/<uuid:job_id>/delete/", jobs.delete, name="delete"),
    path("comparisons/<uuid:comparison_id>/", comparison.overview, name="comparison"),
    path(
        "comparisons/<uuid:comparison_id>/results/", comparison.results, name="comparison_results"
    ),
    path("comparisons/<uuid:comparison_id>/votes.csv", comparison.votes_csv, name="comparison_csv"),
    path(
        "comparisons/<uuid:comparison_id>/<str:method>/",
        comparison.listen,
        name="comparison_listen",
    ),
    path(
        "comparisons/<uuid:comparison_id>/<str:method>/<int:item>/<int:number>/<str:side>/",
        comparison.audio,
        name="comparison_audio",
    ),
    path("uploads/", tus.collection, name="tus"),
    path("uploads/<str:upload_id>/", tus.upload, name="tus_upload"),
    path("healthz/live", health.live, name="live"),
    path("healthz/ready", health.ready, name="ready"),
    path("metrics", metrics.metrics, name="metrics"),
]
unavailable.guard(urlpatterns)
