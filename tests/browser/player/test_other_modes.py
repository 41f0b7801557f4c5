"""Players without a comparison file, or before it is there, and players that are moved."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Locator, expect

from tests.browser.conftest import DoneJob, NewPage
from tests.browser.player.conftest import NewJob, NewPlayer, PlayerPage, refuse
from tests.browser.site_page import SitePage

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: Keeps what the player's events say.
KEEP_EVENTS = """
window.changes = [];
document.addEventListener("denoise-player:change", (event) => window.changes.push(event.detail));
"""


@pytest_asyncio.fixture(loop_scope="session")
async def player(new_player: NewPlayer, short_job: DoneJob) -> PlayerPage:
    return await new_player(short_job)


def side(player: PlayerPage, name: str) -> Locator:
    return player.tab.get_by_role("radio", name=name)


async def test_a_comparison_that_is_missing_leaves_two_sides(
    new_page: NewPage, short_job: DoneJob
) -> None:
    page = await new_page(owner_of=short_job)
    page.errors_expected = True
    await page.tab.route("**/audio/comparison/", refuse)
    await page.goto(short_job.path)
    await expect(page.tab.locator("denoise-player")).to_have_attribute("data-mode", "plain")
    await expect(page.tab.get_by_role("radio", name="Removed")).to_be_hidden()
    await page.button("Play").click()
    await page.wait_for_playback(0.2)


async def test_a_sound_device_that_never_comes_leaves_two_sides(
    new_page: NewPage, short_job: DoneJob
) -> None:
    page = await new_page(owner_of=short_job)
    await page.context.add_init_script(
        "AudioContext.prototype.resume = () => new Promise(() => {});"
        "const keep = AudioContext; window.AudioContext = function () {"
        "  const made = new keep(); made.suspend(); return made; };"
    )
    await page.goto(short_job.path)
    await page.button("Play").click()
    await page.wait_for_playback(0.2)
    await expect(page.tab.locator("denoise-player")).to_have_attribute("data-mode", "plain")


async def wait_for_mode(page: SitePage, mode: str) -> None:
    await page.tab.wait_for_function(
        "mode => document.querySelector('denoise-player').dataset.mode === mode", arg=mode
    )


async def test_what_comes_later_takes_over_at_a_pause(
    new_page: NewPage,
    new_job: NewJob,
    short_comparison: Any,
    statistics: dict[str, Any],
) -> None:
    job = new_job(short_comparison, 4, None)
    page = await new_page(owner_of=job)
    measured = False

    async def answer(route: Any) -> None:
        await (route.fulfill(json=statistics) if measured else route.fulfill(status=204))

    await page.tab.route("**/statistics/**", answer)
    await page.goto(job.path)
    await wait_for_mode(page, "waiting")
    await expect(page.tab.get_by_role("radio", name="Removed")).to_be_disabled()
    deck = await page.part("deck").bounding_box()
    await page.button("Play").click()
    await page.wait_for_playback(0.3)
    measured = True
    await expect(page.tab.get_by_text("26 dB less noise")).to_be_visible()
    # It goes on as it is.
    await wait_for_mode(page, "waiting")
    assert await page.tab.evaluate("document.querySelector('denoise-player').playing")
    await page.button("Pause").click()
    await wait_for_mode(page, "instrument")
    assert await page.tab.evaluate("document.querySelector('denoise-player').position") > 0.3
    await expect(page.tab.get_by_role("radio", name="Removed")).to_be_enabled()
    after = await page.part("deck").bounding_box()
    assert deck is not None
    assert after is not None
    assert (deck["height"], deck["width"]) == (after["height"], after["width"])
    await page.button("Play").click()
    await page.wait_for_playback(0.6)


async def test_markup_of_another_version_keeps_the_native_players(
    new_page: NewPage, short_job: DoneJob
) -> None:
    page = await new_page(owner_of=short_job)
    await page.context.add_init_script(
        """new MutationObserver(() => document.querySelector("[data-part=mix]")?.remove())
          .observe(document, { childList: true, subtree: true });"""
    )
    await page.goto(short_job.path)
    await page.tab.wait_for_function("() => customElements.get('denoise-player')")
    await expect(page.tab.locator("audio[controls]").first).to_be_visible()
    await expect(page.part("deck")).to_be_hidden()


async def test_a_player_that_is_moved_in_the_page_works(player: PlayerPage) -> None:
    await player.play_from(1)
    await player.tab.evaluate(
        """() => {
          const player = document.querySelector("denoise-player");
          delete player.dataset.ready;
          player.parentNode.append(player);
        }"""
    )
    assert not await player.get("playing")
    await player.tab.wait_for_selector("denoise-player[data-ready]")
    await player.play_from(3)
    assert await player.tab.locator("audio[data-source=comparison]").count() == 1
