"""The player with a comparison file: what people press, and what it tells scripts."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Locator, Route, expect

from tests.browser.conftest import DoneJob, NewPage
from tests.browser.player.conftest import NewPlayer, PlayerPage

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


async def test_four_things_to_hear(player: PlayerPage) -> None:
    await expect(side(player, "Clean")).to_be_checked()
    for name, value in (("Original", "original"), ("Removed", "removed"), ("Mix", "mix")):
        await side(player, name).click()
        await expect(side(player, name)).to_be_checked()
        assert await player.get("side") == value
    await expect(player.tab.locator("audio[controls]:visible")).to_have_count(0)


async def test_moving_the_slider_chooses_the_mix_that_can_be_downloaded(
    player: PlayerPage,
) -> None:
    slider = player.tab.get_by_role("slider", name="Mix")
    await slider.fill("35")
    assert await player.get("side") == "mix"
    assert await player.get("mix") == 0.35
    await expect(slider).to_have_attribute("aria-valuetext", "35% clean")
    link = player.tab.get_by_role("link", name="Download this mix")
    await expect(link).to_have_attribute("href", re.compile(r"/download/\?format=flac&mix=0.35$"))


async def test_the_keyboard(player: PlayerPage) -> None:
    keyboard = player.tab.keyboard
    for key, value in (("1", "original"), ("3", "removed"), ("m", "mix"), ("2", "denoised")):
        await keyboard.press(key)
        assert await player.get("side") == value
    await keyboard.press("b")
    assert await player.get("side") == "original"
    await keyboard.press("ArrowRight")
    assert abs(await player.get("position") - 5) < 0.1
    await keyboard.press("Shift+ArrowRight")
    assert abs(await player.get("position") - 6) < 0.1
    await keyboard.press("End")
    assert abs(await player.get("position") - await player.get("duration")) < 0.1
    await keyboard.press("Home")
    assert await player.get("position") < 0.1
    # The side that was clicked has the focus: it needs no space.
    await side(player, "Clean").click()
    await keyboard.press("Space")
    await expect(player.page.button("Pause")).to_be_visible()
    await keyboard.press("Space")
    await expect(player.page.button("Play")).to_be_visible()
    await keyboard.press("?")
    await expect(player.page.heading("Keyboard shortcuts")).to_be_visible()
    await keyboard.press("Escape")
    await expect(player.page.heading("Keyboard shortcuts")).to_be_hidden()


async def test_numbers_are_shown(player: PlayerPage) -> None:
    await expect(player.tab.get_by_text("26 dB less noise")).to_be_visible()
    await player.tab.get_by_text("What was measured").click()
    row = player.tab.get_by_role("row", name="Noise floor")
    await expect(row).to_contain_text("−15.1")
    await expect(row).to_contain_text("−78.4")
    # What nobody measured is left out.
    await expect(player.tab.get_by_role("row", name="Speech quality")).to_be_hidden()


async def test_loudness_can_be_matched_as_soon_as_the_levels_are_known(
    new_page: NewPage, short_job: DoneJob
) -> None:
    """Though no element says anything any more."""
    page = await new_page(owner_of=short_job)
    known = asyncio.Event()

    async def late(route: Route) -> None:
        if route.request.resource_type == "fetch":
            await known.wait()
        await route.continue_()

    await page.tab.route("**/audio/comparison/", late)
    await page.goto(short_job.path)
    switch = page.tab.get_by_role("switch", name="Match loudness")
    await expect(switch).to_be_disabled()
    audio = page.tab.locator('audio[data-source="comparison"]')
    await expect(audio).to_have_js_property("readyState", 4)
    known.set()
    await expect(switch).to_be_enabled()


async def test_scripts_are_told_of_changes(player: PlayerPage) -> None:
    await player.tab.evaluate(KEEP_EVENTS)

    async def changes() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await player.tab.evaluate("window.changes.splice(0)")
        return found

    await player.set("side", "removed")
    assert (await changes())[-1]["side"] == "removed"
    await player.set("mix", 0.25)
    assert (await changes())[-1]["mix"] == 0.25
    await player.set("levelMatched", False)
    assert (await changes())[-1]["levelMatched"] is False
    await player.seek(7)
    assert (await changes())[-1]["position"] == 7
    await player.tab.evaluate("document.querySelector('denoise-player').play()")
    assert (await changes())[-1]["playing"] is True
    await player.tab.evaluate("document.querySelector('denoise-player').pause()")
    assert (await changes())[-1]["playing"] is False
    assert not await player.get("playing")
    # What there is not changes nothing.
    await player.set("side", "nothing")
    await player.seek(-3)
    assert await player.get("side") == "removed"
    assert await player.get("position") == 0


async def test_the_lock_screen_shows_and_controls_it(player: PlayerPage) -> None:
    await player.tab.evaluate(
        """() => {
          window.actions = {};
          const keep = navigator.mediaSession.setActionHandler;
          navigator.mediaSession.setActionHandler = function (name, handler) {
            window.actions[name] = handler;
            keep.call(this, name, handler);
          };
        }"""
    )
    await player.play_from(2)
    session = "navigator.mediaSession"
    assert await player.tab.evaluate(f"{session}.metadata.title") == "click track.wav"
    assert await player.tab.evaluate(f"{session}.playbackState") == "playing"
    await player.tab.evaluate("window.actions.seekto({ seekTime: 11 })")
    assert await player.get("position") >= 11
    await player.tab.evaluate("window.actions.seekbackward({ seekOffset: 4 })")
    assert 7 <= await player.get("position") < 9
    await player.tab.evaluate("window.actions.pause()")
    assert not await player.get("playing")
    assert await player.tab.evaluate(f"{session}.playbackState") == "paused"


async def test_one_player_plays_at_a_time(player: PlayerPage) -> None:
    await player.play_from(1)
    await player.tab.evaluate(
        """() => {
          const first = document.querySelector("denoise-player");
          const second = first.cloneNode(true);
          second.id = "second";
          second.querySelector("audio[data-source=comparison]").remove();
          first.after(second);
        }"""
    )
    await player.tab.wait_for_function("() => document.querySelector('#second').matchable")
    await player.tab.evaluate("document.querySelector('#second').play()")
    await player.tab.wait_for_function("() => document.querySelector('#second').position > 0.2")
    assert not await player.get("playing")


async def test_the_context_rests_while_nothing_plays(player: PlayerPage) -> None:
    await player.play_from(1)
    state = "document.querySelector('denoise-player').output.context.state"
    assert await player.tab.evaluate(state) == "running"
    await player.page.button("Pause").click()
    await player.tab.wait_for_function(f"() => {state} === 'suspended'")
    before = await player.get("position")
    await player.page.button("Play").click()
    await player.wait_until_position(before + 0.3)


async def test_after_the_end_it_begins_anew(player: PlayerPage) -> None:
    await player.play_from(19.2)
    await expect(player.page.button("Play")).to_be_visible()
    await player.page.button("Play").click()
    await player.tab.wait_for_function(
        "() => { const { position } = document.querySelector('denoise-player');"
        " return position > 0.2 && position < 5; }"
    )


async def test_nothing_moves_when_the_page_is_loaded(new_page: NewPage, short_job: DoneJob) -> None:
    page = await new_page(owner_of=short_job)
    await page.context.add_init_script(
        """
        window.shift = 0;
        new PerformanceObserver((list) => {
          for (const entry of list.getEntries()) window.shift += entry.value;
        }).observe({ type: "layout-shift", buffered: true });
        """
    )
    await page.goto(short_job.path)
    await page.tab.wait_for_function("() => document.querySelector('denoise-player[data-ready]')")
    assert await page.tab.evaluate("window.shift") < 0.02


@pytest.mark.parametrize("options", [{}, {"color_scheme": "dark"}, {"locale": "ar"}])
async def test_accessible(
    new_player: NewPlayer, short_job: DoneJob, options: dict[str, str]
) -> None:
    # Without transitions, whose colours in between are of no matter.
    player = await new_player(short_job, reduced_motion="reduce", **options)
    await player.tab.locator("summary").first.click()
    for value in ("original", "denoised", "removed", "mix"):
        await player.set("side", value)
        found = await Axe().run(player.tab)
        assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("width", [320, 500, 1280])
async def test_controls_can_be_hit_and_stand_inside(
    new_player: NewPlayer, short_job: DoneJob, width: int
) -> None:
    player = await new_player(short_job, viewport={"width": width, "height": 800})
    wrong = await player.tab.evaluate(
        """() => {
          const all = document.querySelectorAll(
            "denoise-player :is(button, a, label, summary, [role=slider], input[type=range])");
          return [...all].filter((it) => it.checkVisibility()).map((it) => {
            const box = it.getBoundingClientRect();
            return [it.outerHTML.slice(0, 80), box.width, box.height, box.left, box.right];
          }).filter(([, width, height, left, right]) =>
            width < 24 || height < 24 || left < 0 || right > innerWidth);
        }"""
    )
    assert wrong == []
