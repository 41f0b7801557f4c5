"""Progress arrives by itself, over one socket, and ends in the player."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.async_api import expect

from denoise_relay.testing import answers
from tests.browser.conftest import Visit
from tests.browser.upstream import PacedUpstream
from tests.browser.visitor import Visitor

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_progress_arrives_live(visitor: Visitor, recording: Path) -> None:
    await visitor.bring(recording)
    loads = visitor.loads
    await visitor.ends()
    await expect(visitor.page.locator("denoise-player")).to_be_visible()
    seen = await visitor.seen()
    assert len({pct for pct in seen if 0 < pct < 100}) >= 3, seen
    assert all(before < after for before, after in pairwise(seen)), seen
    assert visitor.loads == loads, "the page was loaded again"
    assert len(visitor.sockets) == 1


async def test_progress_is_told_in_every_way(
    visitor: Visitor, upstream: PacedUpstream, recording: Path
) -> None:
    upstream.limit = 60
    await visitor.bring(recording)
    await visitor.reaches(60)
    bar = visitor.page.get_by_role("progressbar")
    await expect(bar).to_have_attribute("aria-valuenow", "60")
    await expect(bar).to_have_attribute("aria-valuetext", "60%: Running step 12")
    await expect(visitor.page).to_have_title("60% · a talk.wav")
    announced = visitor.page.locator('[data-part="announce"]')
    # Announced when it passed 50; a frame in between may have been skipped.
    await expect(announced).to_have_text(re.compile(r"^5\d%: Running step 1\d$"))
    upstream.limit = 100
    await visitor.ends()
    await expect(announced).to_have_text("Done")
    await expect(visitor.page).to_have_title("Done · a talk.wav")


async def test_reload_keeps_progress(
    visitor: Visitor, upstream: PacedUpstream, recording: Path
) -> None:
    upstream.limit = 40
    await visitor.bring(recording)
    await visitor.reaches(40)
    # What the server renders, before any script or socket has a say.
    html = await (await visitor.page.request.get(visitor.page.url)).text()
    assert 'data-pct="40.0"' in html
    assert 'aria-valuenow="40"' in html
    await visitor.page.reload()
    upstream.limit = 100
    await visitor.ends()
    seen = await visitor.seen()
    assert list(seen) == sorted(seen), "it fell back at the reload"


async def test_two_pages_show_the_same(
    visitor: Visitor, upstream: PacedUpstream, recording: Path
) -> None:
    upstream.limit = 30
    path = await visitor.bring(recording)
    other = await visitor.another_page(path)
    await other.reaches(30)
    upstream.limit = 100
    await other.ends()
    await visitor.ends()
    assert other.problems == []


async def test_a_stranger_sees_nothing(visitor: Visitor, visit: Visit, recording: Path) -> None:
    path = await visitor.bring(recording)
    stranger = await visit()
    stranger.noise_expected = True  # the browser logs the 404
    await stranger.open(path)
    await expect(stranger.page.locator("denoise-job")).to_have_count(0)


async def test_cancel_and_try_again(
    visitor: Visitor, upstream: PacedUpstream, recording: Path
) -> None:
    upstream.limit = 20
    first = await visitor.bring(recording)
    await visitor.reaches(5)
    await visitor.page.get_by_role("button", name="Cancel").click()
    await expect(visitor.page.get_by_role("heading", name="Canceled")).to_be_visible()
    upstream.limit = 100
    await visitor.page.get_by_role("button", name="Try again").click()
    await visitor.page.wait_for_url(lambda url: "/jobs/" in url and first not in url)
    await visitor.ends()


async def test_a_cancel_reaches_the_other_page(
    visitor: Visitor, upstream: PacedUpstream, recording: Path
) -> None:
    upstream.limit = 20
    path = await visitor.bring(recording)
    other = await visitor.another_page(path)
    await other.page.get_by_role("button", name="Cancel").click()
    await visitor.ends("error")
    await expect(visitor.page.get_by_role("heading", name="Canceled")).to_be_visible()
    await expect(visitor.job).to_have_attribute("data-status", "canceled")
    assert other.problems == []


async def test_a_failure_says_why(
    visitor: Visitor, upstream: PacedUpstream, recording: Path
) -> None:
    upstream.on_progress(
        answers.stream(answers.processing(10))
        + answers.silence(2)
        + answers.raw(answers.failed("No <b>voice</b> found"))
    )
    await visitor.bring(recording)
    await visitor.reaches(10)
    await visitor.ends("error")
    heading = visitor.page.get_by_role("heading", name="This recording could not be cleaned")
    await expect(heading).to_be_visible()
    await expect(visitor.page.locator('[data-part="reason"]')).to_have_text("No <b>voice</b> found")
    await expect(visitor.page.get_by_role("button", name="Try again")).to_be_visible()
