"""Settings of the test suite: the app as a site installs it, without the demo project's extras.

The database is an SQLite file, because threads share it, or the server that TEST_DATABASE_URL
names (`scripts/with-postgres` starts one).
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from project import databases

# One per process, so that two runs, or two workers of one run, share no file.
WORKSPACE = Path(tempfile.mkdtemp(prefix="denoise-relay-tests-"))
atexit.register(shutil.rmtree, WORKSPACE, ignore_errors=True)

SECRET_KEY = "not a secret: tests only"
DEBUG = False
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
ROOT_URLCONF = "project.urls"
USE_TZ = True
STATIC_URL = "static/"
MEDIA_ROOT = WORKSPACE / "media"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

DATABASES = {
    "default": databases.from_url(
        os.environ.get("TEST_DATABASE_URL") or f"sqlite:///{WORKSPACE / 'unused.sqlite3'}"
    )
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["TEST"] = {"NAME": str(WORKSPACE / "test.sqlite3")}

CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
# `external`: no test starts a worker unless it asks for one. The results of scripted upstreams have
# nothing to do with what was sent: tests that are about verification or analysis turn it on.
DENOISE_RELAY = {
    "BACKEND": "local",
    "WORKER": "external",
    "VERIFY_RESULTS": False,
    "ANALYSE_RESULTS": False,
}

INSTALLED_APPS = [
    "daphne",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "denoise_relay",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
ASGI_APPLICATION = "project.asgi.application"
LANGUAGES = [("en", "English"), ("ar", "العربية")]
