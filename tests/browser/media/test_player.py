"""The player without Web Audio: one set of controls for the original and the clean recording."""

from __future__ import annotations

import pytest
import pytest_asyncio
from playwright.async_api import Locator, expect

from tests.browser.conftest import DoneJob, NewPage
from tests.browser.site_page import SitePage

pytestmark = pytest.mark.asyncio(loop_scope="session")

NO_WEB_AUDIO = "delete window.AudioContext"


@pytest_asyncio.fixture(loop_scope="session")
async def listener(new_page: NewPage, done_job: DoneJob) -> SitePage:
    """The page of a job that is done, when both recordings can be played."""
    page = await new_page(owner_of=done_job)
    await page.context.add_init_script(NO_WEB_AUDIO)
    await page.goto(done_job.path)
    await page.tab.wait_for_function(
        "() => [...document.querySelectorAll('audio')].every(it => it.readyState >= 2)"
    )
    return page


def side(listener: SitePage, name: str) -> Locator:
    """The radio button of a side."""
    return listener.tab.get_by_role("radio", name=name)


async def media(listener: SitePage, side: str, what: str) -> float:
    """A property of the `original` or `denoised` media element, as a number."""
    value: float = await listener.tab.eval_on_selector(
        f'audio[data-source="{side}"]', f"it => Number(it.{what})"
    )
    return value


async def test_play_and_pause(listener: SitePage) -> None:
    await listener.button("Play").click()
    await listener.wait_for_playback(0.5)
    assert await media(listener, "denoised", "muted") == 0
    assert await media(listener, "original", "muted") == 1
    assert await media(listener, "denoised", "duration") > 5
    await expect(listener.part("now")).not_to_have_text("0:00")
    await listener.button("Pause").click()
    assert await media(listener, "denoised", "paused") == 1
    assert await media(listener, "original", "paused") == 1


async def test_before_and_after_have_one_length(listener: SitePage) -> None:
    before = await media(listener, "original", "duration")
    after = await media(listener, "denoised", "duration")
    assert abs(before - after) < 0.1


async def test_seek(listener: SitePage) -> None:
    await listener.tab.get_by_role("slider", name="Position").fill("6")
    assert abs(await media(listener, "denoised", "currentTime") - 6) < 0.1
    assert abs(await media(listener, "original", "currentTime") - 6) < 0.1
    await expect(listener.part("now")).to_have_text("0:06")
    value_text = await listener.tab.get_by_role("slider", name="Position").get_attribute(
        "aria-valuetext"
    )
    assert value_text is not None
    assert value_text.startswith("0:06 of 0:")


async def test_the_other_side_keeps_the_position_while_playing(listener: SitePage) -> None:
    await listener.tab.get_by_role("slider", name="Position").fill("3")
    await listener.button("Play").click()
    await expect(side(listener, "Clean")).to_be_checked()
    before = await media(listener, "denoised", "currentTime")
    await side(listener, "Original").click()
    await expect(side(listener, "Original")).to_be_checked()
    assert await media(listener, "original", "muted") == 0
    assert await media(listener, "denoised", "muted") == 1
    assert await media(listener, "original", "paused") == 0
    after = await media(listener, "original", "currentTime")
    assert before - 0.2 <= after < before + 5, "it jumped"
    drift = await listener.tab.evaluate(
        """() => {
          const [a, b] = ["original", "denoised"].map(
            side => document.querySelector(`audio[data-source=${side}]`).currentTime);
          return Math.abs(a - b);
        }"""
    )
    assert drift < 0.3


async def test_the_keyboard(listener: SitePage) -> None:
    keyboard, slider = listener.tab.keyboard, listener.tab.get_by_role("slider", name="Position")
    await keyboard.press("ArrowRight")
    assert abs(await media(listener, "denoised", "currentTime") - 5) < 0.1
    await keyboard.press("ArrowLeft")
    assert await media(listener, "denoised", "currentTime") < 0.1
    await keyboard.press("b")
    await expect(side(listener, "Original")).to_be_checked()
    await keyboard.press("Space")
    await expect(listener.button("Pause")).to_be_visible()
    await slider.focus()
    await keyboard.press("Space")
    await expect(listener.button("Play")).to_be_visible()
    # In the group, arrows choose.
    await side(listener, "Original").focus()
    await keyboard.press("ArrowRight")
    await expect(side(listener, "Clean")).to_be_checked()
    assert await media(listener, "denoised", "currentTime") < 0.5
    # On a button, the space key presses that button.
    await listener.part("ask-help").focus()
    await keyboard.press("Space")
    await expect(listener.heading("Keyboard shortcuts")).to_be_visible()
    await expect(listener.button("Play")).to_be_attached()


async def test_what_needs_web_audio_is_not_offered(listener: SitePage) -> None:
    for name in ("Removed", "Mix"):
        await expect(side(listener, name)).to_be_hidden()
    await expect(listener.tab.get_by_role("switch")).to_be_hidden()
    await expect(listener.tab.get_by_role("slider")).to_have_count(1)
    await listener.tab.keyboard.press("3")
    await expect(side(listener, "Clean")).to_be_checked()


async def test_the_files_can_be_downloaded(listener: SitePage) -> None:
    for link, name in (
        ("Download clean recording", "a talk-denoised.wav"),
        ("Download original", "a talk.wav"),
    ):
        async with listener.tab.expect_download() as waiting:
            await listener.tab.get_by_role("link", name=link).click()
        download = await waiting.value
        assert download.suggested_filename == name
        assert (await download.path()).stat().st_size > 10_000


async def test_an_original_that_cannot_be_played_is_reported(
    new_page: NewPage, done_job: DoneJob
) -> None:
    page = await new_page(owner_of=done_job)
    page.errors_expected = True
    await page.tab.route(
        "**/audio/original/", lambda route: route.fulfill(body="nothing", content_type="video/avi")
    )
    await page.context.add_init_script(NO_WEB_AUDIO)
    await page.goto(done_job.path)
    await expect(page.tab.get_by_text("cannot play the original's format")).to_be_visible()
    await expect(side(page, "Original")).to_be_disabled()
    await page.button("Play").click()
    await page.wait_for_playback(0.2)
