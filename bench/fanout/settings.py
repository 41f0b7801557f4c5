"""The demo site's settings, with django-eventstream beside it, and no checks that disturb."""

from __future__ import annotations

from project.settings import *  # noqa: F403

INSTALLED_APPS = [*INSTALLED_APPS, "django_eventstream"]  # noqa: F405
ROOT_URLCONF = "bench.fanout.urls"
EVENTSTREAM_CHANNELMANAGER_CLASS = "django_eventstream.channelmanager.DefaultChannelManager"
