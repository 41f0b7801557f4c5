"""Settings of the demo's service: the site's, with cookies of its own."""

from __future__ import annotations

from project.settings import *  # noqa: F403  # the way Django settings are extended

SESSION_COOKIE_NAME = "service_sessionid"
CSRF_COOKIE_NAME = "service_csrftoken"
