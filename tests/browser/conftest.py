"""One site, one upstream and one Chromium for the session; each test has pages of its own.

The browser and the upstream live on one loop, so every module of this tier says
`asyncio(loop_scope="session")`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from tests.browser.site_page import RECORD_PERCENTAGES, SitePage
from tests.live.recordings import tone_in_noise
from tests.processes import WebProcess
from tests.sites import Site
from tests.upstreams import SteppedUpstream
from tests.waiting import eventually

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = [
    "--no-sandbox",  # tests may run as root
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
    "--autoplay-policy=no-user-gesture-required",
]
RECORDING_SECONDS = 12

NewPage = Callable[..., Awaitable[SitePage]]


@dataclass(frozen=True)
class DoneJob:
    """A job that has ended well: the path of its page, and its owner's cookies."""

    path: str
    cookies: list[Any]


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recordings") / "a talk.wav"
    path.write_bytes(tone_in_noise(RECORDING_SECONDS, rate=8_000))
    return path


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def session_upstream(recording: Path) -> AsyncIterator[SteppedUpstream]:
    async with SteppedUpstream() as upstream:
        upstream.result = recording.read_bytes()
        yield upstream


@pytest_asyncio.fixture(loop_scope="session")
async def upstream(session_upstream: SteppedUpstream) -> AsyncIterator[SteppedUpstream]:
    """Set `limit` below 100 to make jobs wait; they go on when the test is over."""
    yield session_upstream
    session_upstream.limit = 100


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def site(
    session_upstream: SteppedUpstream, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Site]:
    """The demo project with the embedded worker, not yet served."""
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
        yield site


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def web(site: Site) -> WebProcess:
    """The site under Daphne."""
    return site.serve().wait_until_ready()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Browser]:
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, CHROMIUM)), None)
    if found is None:
        pytest.skip("no Chromium on the path")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def new_page(
    web: WebProcess, chromium: Browser, upstream: SteppedUpstream
) -> AsyncIterator[NewPage]:
    """Open a page for a new person; `new_page(locale="ar")` takes the options of Playwright's
    `new_context`, the address of a site as `base`, and the job whose owner it is as `owner_of`.
    At the end no page may have had a problem."""
    pages: list[SitePage] = []

    async def open_page(
        *, base: str = web.url, owner_of: DoneJob | None = None, **options: Any
    ) -> SitePage:
        context = await chromium.new_context(**{"locale": "en-GB", **options})
        context.set_default_timeout(15_000)
        await context.add_init_script(RECORD_PERCENTAGES)
        if owner_of is not None:
            await context.add_cookies(owner_of.cookies)
        pages.append(SitePage(context, await context.new_page(), base))
        return pages[-1]

    yield open_page
    problems = [problem for page in pages for problem in page.problems]
    for page in pages:
        await page.context.close()
    assert problems == []


@pytest_asyncio.fixture(loop_scope="session")
async def page(new_page: NewPage) -> SitePage:
    return await new_page()


@pytest_asyncio.fixture(loop_scope="session")
async def plain_page(new_page: NewPage) -> SitePage:
    """A page without JavaScript."""
    return await new_page(java_script_enabled=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def done_job(web: WebProcess, recording: Path) -> DoneJob:
    """Made once, without a browser; its comparison file is there."""
    async with httpx.AsyncClient(base_url=web.url, trust_env=False, timeout=20) as client:
        form = await client.get("/")
        token = form.text.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
        answer = await client.post(
            "/",
            data={"csrfmiddlewaretoken": token},
            files={"audio": (recording.name, recording.read_bytes(), "audio/wav")},
            headers={"Accept": "application/json"},
        )
        path: str = answer.json()["url"]

        async def is_analysed() -> bool:
            # It may be done some seconds before.
            return (await client.get(f"{path}statistics/")).status_code == 200

        await eventually(is_analysed, within=45)
        cookies: list[Any] = [
            {"name": cookie.name, "value": cookie.value or "", "url": web.url}
            for cookie in client.cookies.jar
        ]
    return DoneJob(path, cookies)
