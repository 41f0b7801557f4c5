"""One site, one upstream and one Chromium for the session; each test has its own visitors.

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

from tests.browser.site import SiteProcess
from tests.browser.upstream import PacedUpstream
from tests.browser.visitor import RECORDER, Visitor
from tests.live.recordings import tone_in_noise
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

Visit = Callable[..., Awaitable[Visitor]]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def paced() -> AsyncIterator[PacedUpstream]:
    async with PacedUpstream() as upstream:
        upstream.result = tone_in_noise(RECORDING_SECONDS, rate=8_000)
        yield upstream


@pytest_asyncio.fixture(loop_scope="session")
async def upstream(paced: PacedUpstream) -> AsyncIterator[PacedUpstream]:
    """Set `limit` below 100 to make jobs wait; they go on when the test is over."""
    yield paced
    paced.limit = 100


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def site(
    paced: PacedUpstream, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[SiteProcess]:
    with SiteProcess(tmp_path_factory.mktemp("site"), paced) as process:
        yield process


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
async def visit(site: SiteProcess, chromium: Browser) -> AsyncIterator[Visit]:
    """Make visitors; `visit(locale="ar")` takes what Playwright's `new_context` takes, and
    `base`, the site to visit. At the end none may have met a problem."""
    visitors: list[Visitor] = []

    async def arrive(*, base: str = site.url, **options: Any) -> Visitor:
        context = await chromium.new_context(**{"locale": "en-GB", **options})
        context.set_default_timeout(15_000)
        await context.add_init_script(RECORDER)
        visitor = Visitor(context, await context.new_page(), base)
        visitors.append(visitor)
        return visitor

    yield arrive
    problems = [problem for visitor in visitors for problem in visitor.problems]
    for visitor in visitors:
        await visitor.context.close()
    assert problems == []


@pytest_asyncio.fixture(loop_scope="session")
async def visitor(visit: Visit, upstream: PacedUpstream) -> Visitor:
    return await visit()


@pytest_asyncio.fixture(loop_scope="session")
async def plain(visit: Visit, upstream: PacedUpstream) -> Visitor:
    """Somebody without JavaScript."""
    return await visit(java_script_enabled=False)


@dataclass(frozen=True)
class Finished:
    """A job that is done: the path of its page, and its visitor's cookies."""

    path: str
    cookies: list[Any]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def finished(site: SiteProcess, recording: Path) -> Finished:
    """Made without a browser, once."""
    async with httpx.AsyncClient(base_url=site.url, trust_env=False, timeout=20) as person:
        form = await person.get("/")
        token = form.text.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
        answer = await person.post(
            "/",
            data={"csrfmiddlewaretoken": token},
            files={"audio": (recording.name, recording.read_bytes(), "audio/wav")},
            headers={"Accept": "application/json"},
        )
        path: str = answer.json()["url"]

        async def done() -> bool:
            status = (await person.get(f"{path}status/")).json()
            return bool(status["stage"] == "done")

        await eventually(done, within=30)
        cookies: list[Any] = [
            {"name": cookie.name, "value": cookie.value or "", "url": site.url}
            for cookie in person.cookies.jar
        ]
    return Finished(path, cookies)


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recordings") / "a talk.wav"
    path.write_bytes(tone_in_noise(RECORDING_SECONDS, rate=8_000))
    return path
