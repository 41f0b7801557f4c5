"""The north API. Include where clients expect it: `path("api/v1/", include(…))`."""

from __future__ import annotations

from django.urls import path

from denoise_relay.api import errors, views
from denoise_relay.views import unavailable

app_name = "denoise_relay_api"
# `str`, not `uuid`: what is no UUID must be a 404 of ours, with the contract's JSON.
urlpatterns = [
    path("denoise", views.denoise, name="denoise"),
    path("denoise/<str:job_id>/progress", views.progress, name="progress"),
    path("denoise/<str:job_id>/audio/<str:kind>", views.audio, name="audio"),
]
unavailable.guard(urlpatterns, errors.unavailable)
