"""The demo site with the plain pages beside it, and with its queries counted."""

from __future__ import annotations

from project.settings import *  # noqa: F403
from project.settings import MIDDLEWARE

ROOT_URLCONF = "bench.pages.urls"
MIDDLEWARE = ["bench.pages.queries.count_queries", *MIDDLEWARE]
