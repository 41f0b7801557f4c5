"""The demo project as in production, without a proxy: `DEBUG=0 daphne project.asgi:application`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.sites import Site


@pytest.fixture(scope="module")
def site(
    migrated_database: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """A client of a running site with collected static files."""
    folder = tmp_path_factory.mktemp("site")
    with Site(folder, migrated_database, DEBUG="0", ALLOWED_HOSTS="127.0.0.1") as installed:
        installed.manage("collectstatic", "--noinput", "--verbosity", "0")
        web = installed.serve(ready_path="/healthz/ready").wait_until_ready(within=40)
        with httpx.Client(base_url=web.url, trust_env=False, timeout=20) as client:
            yield client


def test_policy_forbids_inline_code(site: httpx.Client) -> None:
    policy = site.get("/").headers["content-security-policy"]
    directives = dict(part.strip().partition(" ")[::2] for part in policy.split(";"))
    assert directives["default-src"] == "'self'"
    assert directives["object-src"] == directives["base-uri"] == "'none'"
    assert directives["frame-ancestors"] == "'none'"
    assert "unsafe" not in policy
    assert "*" not in policy


def test_pages_have_no_inline_code(site: httpx.Client) -> None:
    for path in ("/", "/admin/login/"):
        page = site.get(path)
        assert page.status_code == 200
        assert "<style" not in page.text
        assert " style=" not in page.text
        assert " onclick=" not in page.text


@pytest.mark.parametrize("name", ["denoise_relay/live/job_state.js", "admin/css/base.css"])
def test_static_files_are_served_with_their_type_and_revalidated(
    site: httpx.Client, name: str
) -> None:
    answer = site.get(f"/static/{name}")
    assert answer.status_code == 200
    assert answer.headers["content-type"].partition(";")[0] in ("text/javascript", "text/css")
    assert "access-control-allow-origin" not in answer.headers
    again = site.get(
        f"/static/{name}", headers={"If-Modified-Since": answer.headers["last-modified"]}
    )
    assert again.status_code == 304


@pytest.mark.parametrize(
    "path", ["/static/../../project/settings.py", "/static/%2e%2e/db.sqlite3", "/media/denoise/"]
)
def test_nothing_else_is_served(site: httpx.Client, path: str) -> None:
    assert site.get(path).status_code == 404


def test_other_hosts_are_refused(site: httpx.Client) -> None:
    assert site.get("/", headers={"Host": "evil.example"}).status_code == 400


def test_an_error_page_shows_no_details(site: httpx.Client) -> None:
    answer = site.get("/no-such-page")
    assert answer.status_code == 404
    assert "urlpatterns" not in answer.text


def test_language_follows_the_browser(site: httpx.Client) -> None:
    page = site.get("/", headers={"Accept-Language": "ar"})
    assert 'lang="ar"' in page.text
    assert 'dir="rtl"' in page.text
