"""The demo site behind nothing: `DEBUG=0 daphne project.asgi:application`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from tests.live.demo_process import ROOT
from tests.ports import free_port
from tests.waiting import wait_for


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of a migrated, collected, running site."""
    folder = tmp_path_factory.mktemp("site")
    port = free_port()
    environ = {
        "PATH": os.environ["PATH"],
        "DEBUG": "0",
        "SECRET_KEY": "a long one, for this test only, of more than fifty letters",
        "ALLOWED_HOSTS": "127.0.0.1",
        "DATABASE_URL": f"sqlite:///{folder}/db.sqlite3",
        "MEDIA_ROOT": f"{folder}/media",
        "STATIC_ROOT": f"{folder}/static",
        "DJANGO_SETTINGS_MODULE": "project.settings",
    }
    for command in ("migrate", "collectstatic"):
        subprocess.run(
            [sys.executable, "manage.py", command, "--noinput", "--verbosity", "0"],
            cwd=ROOT,
            env=environ,
            timeout=60,
            check=True,
        )
    log = folder / "log.txt"
    with log.open("w") as lines:
        server = subprocess.Popen(
            [sys.executable, "-m", "daphne", "-p", str(port), "project.asgi:application"],
            cwd=ROOT,
            env=environ,
            stdout=lines,
            stderr=subprocess.STDOUT,
        )
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=20) as client:

        def ready() -> bool:
            assert server.poll() is None, log.read_text()
            try:
                return client.get("/healthz/ready").status_code == 200
            except httpx.TransportError:
                return False

        try:
            wait_for(ready, within=40)
            yield client
        finally:
            server.send_signal(signal.SIGTERM)
            try:
                server.wait(15)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait(15)
            print(log.read_text())  # noqa: T201


def test_policy_lets_nothing_inline_run(site: httpx.Client) -> None:
    policy = site.get("/").headers["content-security-policy"]
    directives = dict(part.strip().partition(" ")[::2] for part in policy.split(";"))
    assert directives["default-src"] == "'self'"
    assert directives["object-src"] == directives["base-uri"] == "'none'"
    assert directives["frame-ancestors"] == "'none'"
    assert "unsafe" not in policy
    assert "*" not in policy


def test_pages_bring_nothing_inline(site: httpx.Client) -> None:
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


def test_an_error_page_tells_nothing(site: httpx.Client) -> None:
    answer = site.get("/no-such-page")
    assert answer.status_code == 404
    assert "urlpatterns" not in answer.text


def test_language_follows_the_browser(site: httpx.Client) -> None:
    page = site.get("/", headers={"Accept-Language": "ar"})
    assert 'lang="ar"' in page.text
    assert 'dir="rtl"' in page.text
