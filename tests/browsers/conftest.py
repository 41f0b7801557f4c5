"""One site and one of each browser for the session; each test has a tab with its own cookies.

The other tier, `tests/browser`, says what pages do; here is only what browsers may do differently.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.browsers.drivers.devices import devices
from tests.browsers.drivers.firefox import Firefox, firefox
from tests.browsers.drivers.tab import Tab
from tests.browsers.drivers.webkit import WebKit, webkit
from tests.browsers.job_page import JobPage
from tests.browsers.tones import tones
from tests.processes import WebProcess
from tests.sites import Site
from tests.upstreams import SteppedUpstream
from tests.waiting import wait_for

Browser = Firefox | WebKit
BROWSERS: dict[str, Callable[[Path, Mapping[str, str]], AbstractContextManager[Browser]]] = {
    "firefox": firefox,
    "webkit": webkit,
}
RECORDING_SECONDS = 30
#: The two tones of the recording; the upstream removes the second.
CLEAN_HERTZ, NOISE_HERTZ = 500, 3000


@dataclass(frozen=True)
class DoneJob:
    """A job that has ended well: the path of its page, and its owner's cookies."""

    path: str
    cookies: dict[str, str]


@pytest.fixture(scope="session")
def environ(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """The environment of browsers: with a screen, sound and a home of their own."""
    with devices(tmp_path_factory.mktemp("devices")) as environ:
        yield environ


@pytest.fixture(scope="session", params=BROWSERS)
def browser(
    request: pytest.FixtureRequest,
    environ: Mapping[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Browser]:
    with BROWSERS[request.param](tmp_path_factory.mktemp(request.param), environ) as browser:
        yield browser


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recordings") / "a talk.wav"
    path.write_bytes(tones(RECORDING_SECONDS, CLEAN_HERTZ, NOISE_HERTZ))
    return path


@pytest.fixture(scope="session")
def session_upstream() -> Iterator[SteppedUpstream]:
    upstream = SteppedUpstream()
    with upstream:
        upstream.result = tones(RECORDING_SECONDS, CLEAN_HERTZ)
        yield upstream


@pytest.fixture
def upstream(session_upstream: SteppedUpstream) -> Iterator[SteppedUpstream]:
    """Set `limit` below 100 to make jobs wait; they go on when the test is over."""
    yield session_upstream
    session_upstream.limit = 100


@pytest.fixture(scope="session")
def web(
    session_upstream: SteppedUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WebProcess]:
    """The demo project's site under Daphne, with the embedded worker."""
    with Site(
        tmp_path_factory.mktemp("site"),
        DEBUG="1",  # static files without collectstatic
        DENOISE_RELAY_BACKEND="upstream",
        DENOISE_RELAY_UPSTREAM_URL=session_upstream.url,
        DENOISE_RELAY_API_KEY=session_upstream.key,
        DENOISE_RELAY_ALLOWED_RESULT_HOSTS=session_upstream.netloc,
        # What the scripted upstream returns has nothing to do with what it got.
        DENOISE_RELAY_VERIFY_RESULTS="0",
    ) as site:
        yield site.serve().wait_until_ready()


@pytest.fixture(scope="session")
def done_job(web: WebProcess, recording: Path) -> DoneJob:
    """Made once, without a browser; its comparison file is there."""
    with httpx.Client(base_url=web.url, trust_env=False, timeout=20) as client:
        token = client.get("/").text.partition('name="csrfmiddlewaretoken" value="')[2]
        answer = client.post(
            "/",
            data={"csrfmiddlewaretoken": token.partition('"')[0]},
            files={"audio": (recording.name, recording.read_bytes(), "audio/wav")},
            headers={"Accept": "application/json"},
        )
        path: str = answer.json()["url"]
        wait_for(lambda: client.get(f"{path}statistics/").status_code == 200, within=45)
        return DoneJob(path, dict(client.cookies))


@pytest.fixture
def tab(browser: Browser) -> Iterator[Tab]:
    """At the end it may have had no problem."""
    with ExitStack() as stack:
        tab = browser.new_tab()
        stack.callback(tab.close)
        yield tab
        assert tab.problems() == []


@pytest.fixture
def page(tab: Tab, web: WebProcess, upstream: SteppedUpstream) -> JobPage:
    return JobPage(tab, web.url)
