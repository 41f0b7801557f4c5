"""Settings of the demo site, read from the environment (docs/settings.md lists it).

With nothing set, `daphne project.asgi:application` is a complete service on one machine:
SQLite, an in-memory channel layer, and jobs done by the local engine.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from denoise_relay.conf import from_environ
from project import databases, layers
from project.environment import flag, names
from project.secret import kept_secret

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = BASE_DIR / "var"

DEBUG = flag("DEBUG", default=True)

SECRET_KEY = os.environ.get("SECRET_KEY", "")
if not SECRET_KEY:
    if not DEBUG:
        raise ImproperlyConfigured("Set SECRET_KEY to a long random string: DEBUG is off.")
    SECRET_KEY = kept_secret(VAR_DIR / "secret_key")

# Loopback names by default: a site that others reach says which names it answers to.
ALLOWED_HOSTS = names("ALLOWED_HOSTS") or ["localhost", ".localhost", "127.0.0.1", "[::1]"]
CSRF_TRUSTED_ORIGINS = names("CSRF_TRUSTED_ORIGINS")

# --- denoise_relay -------------------------------------------------------------------------

DENOISE_RELAY: dict[str, Any] = {"BACKEND": "local", **from_environ(os.environ)}

# --- Applications --------------------------------------------------------------------------

INSTALLED_APPS = [
    "daphne",  # first: it replaces `runserver`
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "csp",
    "servestatic",
    "denoise_relay",
    "project",  # the `demo` command
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "servestatic.middleware.ServeStaticMiddleware",
    "project.content_policy.ContentPolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "project.urls"
ASGI_APPLICATION = "project.asgi.application"
WSGI_APPLICATION = "project.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# --- State ---------------------------------------------------------------------------------

DATABASES = {
    "default": databases.from_url(
        os.environ.get("DATABASE_URL") or f"sqlite:///{VAR_DIR / 'db.sqlite3'}"
    )
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CHANNEL_LAYERS = {"default": layers.from_url(os.environ.get("REDIS_URL", ""))}

MEDIA_ROOT = Path(os.environ.get("MEDIA_ROOT") or VAR_DIR / "media")
# Recordings are served by views that ask the access policy, never from MEDIA_URL.
MEDIA_URL = "media/"
# Straight to a temporary file, which the storage then renames instead of copying.
FILE_UPLOAD_HANDLERS = ["django.core.files.uploadhandler.TemporaryFileUploadHandler"]

# --- Static files --------------------------------------------------------------------------

STATIC_URL = "static/"
STATIC_ROOT = Path(os.environ.get("STATIC_ROOT") or VAR_DIR / "static")
STATICFILES_DIRS = [BASE_DIR / "static"]
# Plain names, revalidated after a minute: ES modules import each other by name, and names
# with a hash in them would have to be rewritten inside the modules.
SERVESTATIC_ALLOW_ALL_ORIGINS = False
# Before the first `collectstatic` the directory is missing, which would be a warning at start.
SERVESTATIC_USE_STATIC_ROOT = not DEBUG and STATIC_ROOT.is_dir()

# --- Security ------------------------------------------------------------------------------

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "base-uri": ["'none'"],
        # 'self' covers ws: and wss: of the same origin in every browser since 2022
        # (Safari 15.4); older ones fall back to SSE.
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
        "img-src": ["'self'", "data:"],
        # `project.content_policy` adds where else recordings are, by the storage and STORE_RESULTS.
        "media-src": ["'self'", "blob:"],
        "object-src": ["'none'"],
    }
}
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"

# --- Language and time ---------------------------------------------------------------------

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("ar", "العربية")]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"

# --- Logging -------------------------------------------------------------------------------

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"},
        "json": {"()": "denoise_relay.runtime.logs.JsonFormatter"},
    },
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": "json" if flag("DENOISE_LOG_JSON", default=False) else "line",
        }
    },
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {
        "denoise_relay": {"level": "INFO"},
        # Django's own handler would print the same line a second time.
        "django": {"handlers": [], "level": "INFO", "propagate": True},
        # At INFO it logs every URL, and a vendor's result URL is a secret while it lasts.
        "httpx": {"level": "WARNING"},
    },
}
