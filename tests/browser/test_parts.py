"""Large files go in parts: over broken lines and reloads, and not where that is forbidden."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Request, Route, expect

from tests.browser.visitor import WITHIN_MS, Visitor
from tests.live.recordings import tone_in_noise
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

PART = 1024 * 1024
PARTS = "**/uploads/*/"


@pytest.fixture(scope="session")
def long_recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("long") / "a long talk.wav"
    path.write_bytes(tone_in_noise(100, rate=48_000))
    assert path.stat().st_size > 8 * PART
    return path


class Line:
    """What the page sends in parts; breaks when it is told to."""

    def __init__(self, visitor: Visitor) -> None:
        self.sent: list[int] = []
        self.asked = 0
        self.made = 0
        #: Parts that pass before the line breaks; None: all.
        self.passes: int | None = None
        visitor.page.on("request", self._note)
        self._visitor = visitor

    def _note(self, request: Request) -> None:
        if request.url.endswith("/uploads/") and request.method == "POST":
            self.made += 1
        if request.method == "HEAD":
            self.asked += 1

    async def lay(self) -> None:
        await self._visitor.page.route(PARTS, self._pass)

    async def _pass(self, route: Route) -> None:
        if route.request.method == "PATCH":
            if self.passes is not None and len(self.sent) >= self.passes:
                await route.abort("connectionreset")
                return
            self.sent.append(int(route.request.headers["upload-offset"]))
        await route.continue_()


async def test_a_large_file_becomes_a_job(visitor: Visitor, long_recording: Path) -> None:
    line = Line(visitor)
    await line.lay()
    await visitor.open()
    await visitor.choose(long_recording)
    await visitor.on_job_page()
    await expect(visitor.page.get_by_role("heading", level=1)).to_have_text("a long talk.wav")
    assert line.sent[:2] == [0, PART]
    assert line.made == 1
    await visitor.ends()


async def test_a_network_that_goes_away_and_comes_back(
    visitor: Visitor, long_recording: Path
) -> None:
    visitor.noise_expected = True
    line = Line(visitor)
    line.passes = 2
    await line.lay()
    await visitor.open()
    await visitor.choose(long_recording)
    await expect(visitor.page.get_by_text("Reconnecting…")).to_be_visible()
    stopped = list(line.sent)
    await visitor.context.set_offline(True)
    line.passes = None
    await visitor.context.set_offline(False)
    await visitor.on_job_page()
    assert line.made == 1
    assert line.asked >= 1
    assert line.sent[: len(stopped)] == stopped
    assert line.sent[len(stopped)] > stopped[-1] > 0, "it began anew"
    await visitor.ends()


async def test_a_page_that_is_reloaded_goes_on(visitor: Visitor, long_recording: Path) -> None:
    visitor.noise_expected = True
    line = Line(visitor)
    line.passes = 2
    await line.lay()
    await visitor.open()
    await visitor.choose(long_recording)
    await expect(visitor.page.get_by_text("Reconnecting…")).to_be_visible()
    stopped = line.sent[-1]
    await visitor.page.reload()
    line.passes = None
    line.sent.clear()
    await visitor.choose(long_recording)
    await visitor.on_job_page()
    assert line.sent[0] > stopped
    assert line.made == 1
    kept = await visitor.page.evaluate("localStorage.getItem('denoise-relay-uploads')")
    assert kept == "{}"


async def test_cancel_deletes_what_has_arrived(visitor: Visitor, long_recording: Path) -> None:
    visitor.noise_expected = True
    line = Line(visitor)
    line.passes = 1
    deleted: list[int] = []
    visitor.page.on(
        "requestfinished",
        lambda request: deleted.append(1) if request.method == "DELETE" else None,
    )
    await line.lay()
    await visitor.open()
    await visitor.choose(long_recording)
    await expect(visitor.page.get_by_text("Reconnecting…")).to_be_visible()
    await visitor.page.get_by_role("button", name="Remove a long talk.wav").click()
    await expect(visitor.page.get_by_text("a long talk.wav")).to_have_count(0)
    await eventually(lambda: deleted)


async def test_the_form_is_the_way_where_parts_are_forbidden(
    visitor: Visitor, long_recording: Path
) -> None:
    visitor.noise_expected = True

    async def forbid(route: Route) -> None:
        await route.fulfill(status=405)

    await visitor.page.route("**/uploads/", forbid)
    await visitor.open()
    await visitor.choose(long_recording)
    await visitor.page.wait_for_url("**/jobs/*/", timeout=WITHIN_MS)
    await visitor.ends()
