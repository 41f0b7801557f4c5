"""The admin and our pages."""

from __future__ import annotations

from django.urls import include, path

from bench.bare.urls import urlpatterns as bare

urlpatterns = [*bare, path("", include("denoise_relay.urls"))]
