"""Three relays in a row: people in front see and hear what the last one cleans, while it does."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.live.forms import submit
from tests.live.recordings import tone_in_noise
from tests.sites import Site
from tests.waiting import wait_for

pytestmark = pytest.mark.timeout(180)

SECONDS = 300


@contextlib.contextmanager
def relay(folder: Path, database: Path, upstream: str = "", key: str = "") -> Iterator[Site]:
    """A site in front of another one, or with the local engine."""
    folder.mkdir()
    environ = {"DENOISE_RELAY_BACKEND": "local"}
    if upstream:
        environ = {
            "DENOISE_RELAY_BACKEND": "upstream",
            "DENOISE_RELAY_UPSTREAM_URL": f"{upstream}/api/v1",
            "DENOISE_RELAY_API_KEY": key,
            "DENOISE_RELAY_ALLOWED_RESULT_HOSTS": upstream.removeprefix("http://"),
        }
    with Site(folder, database, **environ) as site:
        yield site


@pytest.fixture
def front(migrated_database: Path, tmp_path: Path) -> Iterator[tuple[Site, str]]:
    """The site that people use, and its URL."""
    with contextlib.ExitStack() as stack:
        url = key = ""
        for name in ("service", "middle", "front"):
            site = stack.enter_context(relay(tmp_path / name, migrated_database, url, key))
            url = site.serve(ready_path="/healthz/ready").wait_until_ready(within=60).url
            key = site.manage("create_api_key", "test").strip()
        yield site, url


def test_people_hear_through_two_relays_what_the_third_has_cleaned(
    front: tuple[Site, str],
) -> None:
    site, url = front
    with httpx.Client(base_url=url, trust_env=False, timeout=20) as browser:
        job = submit(browser, recording=tone_in_noise(SECONDS))

        def grown() -> dict[str, Any]:
            answer = browser.get(f"/jobs/{job}/waveform/denoised/")
            assert answer.status_code == 200
            found: dict[str, Any] = answer.json()
            return found

        # The shape of the original is there at once, so that there is something to paint over.
        assert browser.get(f"/jobs/{job}/waveform/original/").json()["complete"]
        first = wait_for(lambda: found if (found := grown())["length"] else None, within=60)
        begun = first["segments"]
        shape = wait_for(lambda: found if (found := grown())["segments"] > begun else None, 60)
        sound = browser.get(f"/jobs/{job}/preview/0/")
        assert site.statuses() == ["processing"]

        assert not first["complete"]
        assert not shape["complete"]
        assert shape["segments"] * shape["segment_seconds"] < SECONDS
        assert any(shape["data"])
        assert sound.headers["content-type"] == "audio/flac"
        assert sound.content.startswith(b"fLaC")
        assert len(sound.content) > 10_000
    logs = [path.read_text() for path in site.folder.parent.glob("*/daphne.log")]
    assert not [log for log in logs if "Traceback" in log or "preview_stopped" in log]
