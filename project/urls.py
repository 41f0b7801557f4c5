"""The demo site's routes."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/v1/", include("denoise_relay.api.urls")),
    path("", include("denoise_relay.urls")),
]
