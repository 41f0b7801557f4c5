"""A job's paths: what `reverse` says, for each job, language, URLconf and mount point."""

from __future__ import annotations

from types import ModuleType
from uuid import uuid4

import pytest
from django.urls import (
    NoReverseMatch,
    clear_script_prefix,
    reverse,
    set_script_prefix,
    set_urlconf,
)

from denoise_relay import paths, presentation
from denoise_relay.models import Job


@pytest.mark.parametrize("prefix", ["/", "/mounted/here/"])
def test_paths_are_those_of_reverse(prefix: str) -> None:
    set_script_prefix(prefix)
    try:
        for name, more in (("job", ()), ("audio", ("original",)), ("preview", ("0",))):
            for job in (uuid4(), uuid4()):
                expected = reverse(f"denoise_relay:{name}", args=[job, *more])
                assert paths.job_path(name, job, *more) == expected
                assert expected.startswith(prefix)
    finally:
        clear_script_prefix()


def test_a_site_without_our_pages_has_no_paths() -> None:
    empty = ModuleType("empty")
    empty.__dict__["urlpatterns"] = []
    job = uuid4()
    assert paths.job_path("job", job)
    set_urlconf(empty)
    try:
        with pytest.raises(NoReverseMatch):
            paths.job_path("job", job)
        assert presentation.media_path(job, "original") == ""
    finally:
        set_urlconf(None)
    assert paths.job_path("job", job)


def test_a_page_of_jobs_reverses_no_path_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    presentation.links_of(Job(whole="a"))
    monkeypatch.setattr(paths, "reverse", lambda *_, **__: pytest.fail("reversed again"))

    assert presentation.links_of(Job()).page != presentation.links_of(Job()).page
