"""Seeking and zooming on the time line: mouse, fingers, keys, wheel."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from tests.browser.player.timeline.conftest import OpenTimeline, TimelinePage
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_click_and_a_drag_seek(timeline: TimelinePage) -> None:
    box = await timeline.box()
    y = box["y"] + box["height"] / 2
    await timeline.tab.mouse.click(box["x"] + box["width"] * 0.25, y)
    await timeline.expect_position(5)
    await timeline.tab.mouse.move(box["x"] + box["width"] * 0.5, y)
    await timeline.tab.mouse.down()
    await timeline.tab.mouse.move(box["x"] + box["width"] * 0.75, y, steps=5)
    await timeline.tab.mouse.up()
    await timeline.expect_position(15)
    # On the spectrograms, too.
    spectrogram = timeline.tab.locator('[data-part="spectrogram"]')
    size = await spectrogram.bounding_box()
    assert size is not None
    await spectrogram.click(position={"x": size["width"] * 0.1, "y": size["height"] / 2})
    await timeline.expect_position(2)


async def test_a_finger_seeks_when_it_taps_and_when_it_moves_along(
    open_timeline: OpenTimeline,
) -> None:
    timeline = await open_timeline(has_touch=True)
    box = await timeline.box()
    x, y, width = box["x"], box["y"] + 20, box["width"]
    await timeline.tab.touchscreen.tap(x + width * 0.5, y)
    await timeline.expect_position(10)
    await timeline.touch("pointerdown", (x + width * 0.5, y))
    await timeline.touch("pointermove", (x + width * 0.2, y))
    await timeline.touch("pointerup", (x + width * 0.2, y))
    await timeline.expect_position(4)
    action = "it => getComputedStyle(it.closest('[data-part=lanes]')).touchAction"
    assert await timeline.slider.evaluate(action) == "pan-y", "the page could not be scrolled"


async def test_two_fingers_zoom(timeline: TimelinePage) -> None:
    box = await timeline.box()
    x, y, width = box["x"], box["y"] + 20, box["width"]
    await timeline.touch("pointerdown", (x + width * 0.4, y), (x + width * 0.6, y))
    await timeline.touch("pointermove", (x + width * 0.1, y), (x + width * 0.9, y))
    await timeline.touch("pointerup", (x + width * 0.1, y), (x + width * 0.9, y))
    await timeline.expect_span(5)
    await timeline.expect_position(0)


async def test_keys_seek_and_the_slider_says_where_it_is(timeline: TimelinePage) -> None:
    slider = timeline.tab.get_by_role("slider", name="Position")
    await expect(slider).to_have_attribute("aria-valuemin", "0")
    await expect(slider).to_have_attribute("aria-valuemax", "20")
    await expect(slider).to_have_attribute("aria-valuetext", "0:00 of 0:20")
    await slider.focus()
    for key, seconds in (
        ("ArrowRight", 5),
        ("Shift+ArrowRight", 6),
        ("ArrowUp", 11),
        ("ArrowLeft", 6),
        ("Shift+ArrowLeft", 5),
        ("PageUp", 20),
        ("PageDown", 0),
        ("End", 20),
        ("Home", 0),
        ("ArrowRight", 5),
    ):
        await slider.press(key)
        await timeline.expect_position(seconds)
    await expect(slider).to_have_attribute("aria-valuenow", "5")
    await expect(slider).to_have_attribute("aria-valuetext", "0:05 of 0:20")


@pytest.mark.parametrize("locale", ["en-GB", "ar"])
async def test_time_runs_from_left_to_right(open_timeline: OpenTimeline, locale: str) -> None:
    timeline = await open_timeline(locale=locale, viewport={"width": 320, "height": 700})
    box = await timeline.box()
    await timeline.tab.mouse.click(box["x"] + box["width"] * 0.75, box["y"] + 20)
    await timeline.expect_position(15)
    head = await timeline.tab.locator('[data-part="playhead"]').bounding_box()
    assert head is not None
    assert abs(head["x"] - box["x"] - box["width"] * 0.75) < 8
    assert re.fullmatch(r"rtl|ltr", await timeline.tab.locator("html").get_attribute("dir") or "")


async def test_zoom_by_buttons_keys_and_wheel(timeline: TimelinePage) -> None:
    closer, wider = timeline.button("Zoom in"), timeline.button("Zoom out")
    await expect(wider).to_have_attribute("aria-disabled", "true")
    await closer.click()
    await timeline.expect_span(10)
    await expect(wider).to_have_attribute("aria-disabled", "false")
    for _ in range(4):
        await closer.click()
    await timeline.expect_span(1)
    await expect(closer).to_have_attribute("aria-disabled", "true")
    await wider.click()
    await timeline.expect_span(2)
    await timeline.slider.focus()
    await timeline.tab.keyboard.press("-")
    await timeline.expect_span(4)
    await timeline.tab.keyboard.press("+")
    await timeline.expect_span(2)
    box = await timeline.box()
    await timeline.tab.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20)
    await timeline.tab.keyboard.down("Control")
    for _ in range(5):
        await timeline.tab.mouse.wheel(0, 100)
    await timeline.tab.keyboard.up("Control")
    await timeline.expect_span(20)
    assert await timeline.tab.evaluate("visualViewport.scale") == 1


async def test_scrolling_when_zoomed(timeline: TimelinePage) -> None:
    await timeline.button("Zoom in").click()
    await timeline.button("Zoom in").click()
    await timeline.expect_span(5)
    box = await timeline.box()
    await timeline.tab.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20)
    await timeline.tab.mouse.wheel(box["width"], 0)

    async def starts_at(seconds: float) -> bool:
        return abs((await timeline.shown())[0] - seconds) < 0.1

    await eventually(lambda: starts_at(5))
    # On the strip below, which shows all of it.
    strip = timeline.tab.locator('[data-part="overview"]')
    size = await strip.bounding_box()
    assert size is not None
    await strip.click(position={"x": size["width"] * 0.75, "y": size["height"] / 2})
    await eventually(lambda: starts_at(12.5))
    await timeline.expect_position(0)
    # A click now is in what is shown. The click on the strip may have scrolled the page.
    box = await timeline.box()
    await timeline.tab.mouse.click(box["x"] + box["width"] / 2, box["y"] + 20)
    await timeline.expect_position(15)
    assert await starts_at(12.5), "the view jumped at a click in it"
    await timeline.player.seek(1)
    await eventually(lambda: starts_at(0))


async def test_the_view_follows_the_playhead(timeline: TimelinePage) -> None:
    for _ in range(5):
        await timeline.button("Zoom in").click()
    await timeline.expect_span(1)
    await timeline.player.play_from(4)
    await timeline.player.wait_until_position(6)
    start, end = await timeline.shown()
    position = float(await timeline.player.get("position"))
    assert start < position < end + 0.3
