"""What starting costs: what a management command loads, and what a server has when it starts."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from django.utils.module_loading import import_string

from denoise_relay import urls
from denoise_relay.api import urls as api_urls

#: What takes long to load and what no system check needs: the HTTP client, metrics, the engine.
HEAVY = {
    "httpx",
    "prometheus_client",
    "denoise_relay.backends.upstream.backend",
    "denoise_relay.jobs.actions",
    "denoise_relay.journal",
    "denoise_relay.live",
    "denoise_relay.runtime.database",
    "denoise_relay.uploads",
    "denoise_relay.worker",
}
#: Modules of ours in `manage.py check`. Each costs about a millisecond.
AT_MOST = 65


def loaded_by(code: str, settings: str) -> set[str]:
    """The modules that a new process has loaded after `code`."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\nprint('MODULES', *sys.modules)"],
        env=os.environ | {"DJANGO_SETTINGS_MODULE": settings, "DENOISE_RELAY_BACKEND": "upstream"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return set(done.stdout.rpartition("MODULES")[2].split())


def test_system_checks_load_no_more_than_they_need() -> None:
    check = "from django.core.management import execute_from_command_line as run\n"
    loaded = loaded_by(f"{check}run(['manage.py', 'check'])", "project.settings")

    assert not loaded & HEAVY
    ours = {name for name in loaded if name.startswith("denoise_relay")}
    assert len(ours) <= AT_MOST, sorted(ours)


def test_a_server_has_loaded_what_requests_need_when_it_starts() -> None:
    loaded = loaded_by("import project.asgi", "project.settings")

    assert loaded >= HEAVY - {"httpx", "denoise_relay.backends.upstream.backend"}
    assert loaded >= {"denoise_relay.views.jobs", "denoise_relay.comparison.views"}


@pytest.mark.parametrize("urlconf", [urls, api_urls], ids=["pages", "api"])
def test_a_view_that_is_loaded_later_says_what_the_view_says(urlconf: object) -> None:
    for pattern in urlconf.urlpatterns:  # type: ignore[attr-defined]
        view = pattern.callback
        named = import_string(f"{view.__module__}.{view.__name__}")
        exempt = getattr(named, "csrf_exempt", False)
        assert getattr(view, "csrf_exempt", False) == exempt, pattern
        assert view.load().__wrapped__ is named
