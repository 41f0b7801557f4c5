"""Before and after: one set of controls over two recordings."""

from __future__ import annotations

import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.browser.conftest import Finished, Visit
from tests.browser.visitor import Visitor

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def listener(visit: Visit, finished: Finished) -> Visitor:
    visitor = await visit()
    await visitor.context.add_cookies(finished.cookies)
    await visitor.open(finished.path)
    await visitor.page.wait_for_function(
        """() => [...document.querySelectorAll("audio")].every(it => it.readyState >= 2)"""
    )
    return visitor


async def media(listener: Visitor, side: str, what: str) -> float:
    value: float = await listener.page.eval_on_selector(
        f'audio[data-source="{side}"]', f"it => Number(it.{what})"
    )
    return value


async def test_it_plays(listener: Visitor) -> None:
    await listener.page.get_by_role("button", name="Play").click()
    await listener.page.wait_for_function(
        "() => document.querySelector('audio[data-source=denoised]').currentTime > 0.5"
    )
    assert await media(listener, "denoised", "muted") == 0
    assert await media(listener, "original", "muted") == 1
    assert await media(listener, "denoised", "duration") > 5
    await expect(listener.page.locator('[data-part="now"]')).not_to_have_text("0:00")
    await listener.page.get_by_role("button", name="Pause").click()
    assert await media(listener, "denoised", "paused") == 1
    assert await media(listener, "original", "paused") == 1


async def test_before_and_after_have_one_length(listener: Visitor) -> None:
    before = await media(listener, "original", "duration")
    after = await media(listener, "denoised", "duration")
    assert abs(before - after) < 0.1


async def test_seek(listener: Visitor) -> None:
    await listener.page.get_by_role("slider", name="Position").fill("6")
    assert abs(await media(listener, "denoised", "currentTime") - 6) < 0.1
    assert abs(await media(listener, "original", "currentTime") - 6) < 0.1
    await expect(listener.page.locator('[data-part="now"]')).to_have_text("0:06")
    value_text = await listener.page.get_by_role("slider").get_attribute("aria-valuetext")
    assert value_text is not None
    assert value_text.startswith("0:06 of 0:")


async def test_the_switch_keeps_the_position_while_playing(listener: Visitor) -> None:
    await listener.page.get_by_role("slider").fill("3")
    await listener.page.get_by_role("button", name="Play").click()
    switch = listener.page.get_by_role("button", name="Denoised")
    await expect(switch).to_have_attribute("aria-pressed", "true")
    before = await media(listener, "denoised", "currentTime")
    await switch.click()
    await expect(switch).to_have_attribute("aria-pressed", "false")
    assert await media(listener, "original", "muted") == 0
    assert await media(listener, "denoised", "muted") == 1
    assert await media(listener, "original", "paused") == 0
    after = await media(listener, "original", "currentTime")
    assert before - 0.2 <= after < before + 5, "it jumped"
    drift = await listener.page.evaluate(
        """() => {
          const [a, b] = ["original", "denoised"].map(
            side => document.querySelector(`audio[data-source=${side}]`).currentTime);
          return Math.abs(a - b);
        }"""
    )
    assert drift < 0.3


async def test_the_keyboard(listener: Visitor) -> None:
    page = listener.page
    await page.keyboard.press("ArrowRight")
    assert abs(await media(listener, "denoised", "currentTime") - 5) < 0.1
    await page.keyboard.press("ArrowLeft")
    assert await media(listener, "denoised", "currentTime") < 0.1
    await page.keyboard.press("b")
    await expect(page.get_by_role("button", name="Denoised")).to_have_attribute(
        "aria-pressed", "false"
    )
    await page.keyboard.press("Space")
    await expect(page.get_by_role("button", name="Pause")).to_be_visible()
    await page.get_by_role("slider").focus()
    await page.keyboard.press("Space")
    await expect(page.get_by_role("button", name="Play")).to_be_visible()
    # On a button, space is the button's own.
    await page.get_by_role("button", name="Denoised").focus()
    await page.keyboard.press("Space")
    await expect(page.get_by_role("button", name="Denoised")).to_have_attribute(
        "aria-pressed", "true"
    )
    await expect(page.get_by_role("button", name="Play")).to_be_visible()


async def test_the_files_can_be_taken_home(listener: Visitor) -> None:
    for link, name in (
        ("Download clean recording", "a talk-denoised.wav"),
        ("Download original", "a talk.wav"),
    ):
        async with listener.page.expect_download() as waiting:
            await listener.page.get_by_role("link", name=link).click()
        download = await waiting.value
        assert download.suggested_filename == name
        assert (await download.path()).stat().st_size > 10_000


async def test_an_original_that_cannot_be_played_is_said_so(
    visit: Visit, finished: Finished
) -> None:
    visitor = await visit()
    visitor.noise_expected = True
    await visitor.context.add_cookies(finished.cookies)
    await visitor.page.route(
        "**/audio/original/", lambda route: route.fulfill(body="nothing", content_type="video/avi")
    )
    await visitor.open(finished.path)
    await expect(visitor.page.get_by_text("cannot play the original's format")).to_be_visible()
    await expect(visitor.page.get_by_role("button", name="Denoised")).to_be_disabled()
    await visitor.page.get_by_role("button", name="Play").click()
    await visitor.page.wait_for_function(
        "() => document.querySelector('audio[data-source=denoised]').currentTime > 0.2"
    )
