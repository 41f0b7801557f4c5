"""The demo site's URLs, and a stream of django-eventstream for each job."""

from __future__ import annotations

import django_eventstream
from django.urls import include, path

from project.urls import urlpatterns as site

urlpatterns = [
    path("events/<channel>/", include(django_eventstream.urls), {"format-channels": ["{channel}"]}),
    *site,
]
