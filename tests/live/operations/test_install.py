"""A new site: the wheel in a fresh environment, the six lines of the README, a browser."""

from __future__ import annotations

import os
import re
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.live.forms import submit
from tests.ports import free_port
from tests.processes import ROOT, WebProcess
from tests.processes import run as run_command
from tests.waiting import wait_for

pytestmark = pytest.mark.timeout(300)

#: Without the variables of this checkout and of this shell, which the new site must not need.
CLEAN = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("DENOISE_RELAY_", "DJANGO_", "PYTHON", "VIRTUAL_ENV"))
}


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command outside this checkout's environment until it succeeds."""
    return run_command(command, env=CLEAN, cwd=cwd, with_stderr=True)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built from its source distribution, as for a release."""
    folder = tmp_path_factory.mktemp("dist")
    # With the build backend that is installed: nothing is downloaded.
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, cwd=ROOT)
    (built,) = folder.glob("*.whl")
    return built


def test_wheel_holds_the_app_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.partition("/")[0].split("-")[0] for name in names} == {"denoise_relay"}
    inside = {name.removeprefix("denoise_relay/") for name in names}
    assert {
        "py.typed",
        "migrations/0001_initial.py",
        "templates/denoise_relay/job.html",
        "static/denoise_relay/live/job_state.js",
        "static/denoise_relay/sample.mp3",
    } <= inside
    checkout = {
        str(path.relative_to(ROOT / "denoise_relay"))
        for path in (ROOT / "denoise_relay").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert checkout <= inside


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a fresh environment with the wheel and its `local` extra."""
    folder = tmp_path_factory.mktemp("venv")
    run(sys.executable, "-m", "venv", folder, cwd=folder)
    python = folder / "bin/python"
    run(
        python,
        *("-m", "pip", "install", "-qq", "--disable-pip-version-check"),
        *("--constraint", ROOT / "constraints.txt", f"denoise-relay[local] @ file://{wheel}"),
        cwd=folder,
    )
    return python


@pytest.fixture(scope="module")
def site(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`django-admin startproject mysite`, with README's six lines in it."""
    folder = tmp_path_factory.mktemp("project")
    run(python, "-m", "django", "startproject", "mysite", ".", cwd=folder)
    blocks = re.findall(
        r"<!-- six-lines: (\S+) -->\n```python\n(.*?)```",
        (ROOT / "README.md").read_text(),
        re.DOTALL,
    )
    for name, code in blocks:
        with (folder / "mysite" / name).open("a") as file:
            file.write(f"\n{code}")
    run(python, "manage.py", "migrate", "--verbosity", "0", cwd=folder)
    return folder


def test_checks_find_no_error_and_no_migration_is_missing(python: Path, site: Path) -> None:
    # The site keeps Django's SQLite defaults, for which there is a warning with a remedy.
    assert "denoise_relay.W005" in run(python, "manage.py", "check", cwd=site)
    run(python, "manage.py", "makemigrations", "--check", "--dry-run", cwd=site)


@pytest.fixture
def address(python: Path, site: Path, tmp_path: Path) -> Iterator[str]:
    """The address of the site, served by `runserver`, which is Daphne's."""
    port = free_port()
    command = (python, "manage.py", "runserver", "--noreload", f"127.0.0.1:{port}")
    with WebProcess(
        "runserver",
        command,
        port=port,
        env=CLEAN,
        log=tmp_path / "log.txt",
        cwd=site,
        ready_path="/denoise/",
    ) as server:
        yield server.wait_until_ready(within=60).url
    assert "Traceback" not in server.output, server.output


def test_six_lines_make_a_site_that_denoises(address: str) -> None:
    with httpx.Client(base_url=address, trust_env=False, timeout=30) as browser:
        page = browser.get("/denoise/")
        links = re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text)
        assert links
        for link in links:
            assert browser.get(link).status_code == 200, link
        job = submit(browser, page="/denoise/")
        assert browser.get(f"/denoise/jobs/{job}/").status_code == 200

        def ended() -> dict[str, object]:
            status = browser.get(f"/denoise/jobs/{job}/status/").json()
            return status if status["stage"] != "processing" else {}

        status = wait_for(ended, within=60)
        assert status["stage"] == "done", status
        for kind in ("original", "denoised"):
            part = browser.get(f"/denoise/jobs/{job}/audio/{kind}/", headers={"Range": "bytes=0-9"})
            assert part.status_code == 206
            assert len(part.content) == 10
