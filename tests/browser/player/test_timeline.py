"""The time line of the player: its pictures, seeking, zoom, and what it says of itself."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import FloatRect, Locator, Route, expect

from tests.browser.conftest import DoneJob, NewPage
from tests.browser.player.conftest import SHORT_SECONDS, PlayerPage
from tests.browser.player.waveform_rows import add_waveform
from tests.sites import Site
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

OpenTimeline = Callable[..., Awaitable["TimelinePage"]]
#: Answers requests for spectrograms.
Pictures = Callable[[Route], Awaitable[None]]

NOISY, CLEAN = 100, 40
#: Colours of the column in the middle, from top to middle. Edges between them are blended.
COLOURS = """
canvas => {
  const { width, height } = canvas;
  const copy = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  copy.drawImage(canvas, 0, 0);
  const { data } = copy.getImageData(Math.floor(width / 2), 0, 1, height);
  const rows = new Map();
  for (let y = 0; y < height * 0.4; y += 1) {
    const colour = [...data.slice(y * 4, y * 4 + 4)].join();
    if (data[y * 4 + 3] === 255) rows.set(colour, (rows.get(colour) ?? 0) + 1);
  }
  return [...rows].filter(([, count]) => count > 2).map(([colour]) => colour);
}
"""
#: What is drawn on canvases, and what moves on the page by itself.
RECORD = """
window.drawn = 0;
const fillRect = CanvasRenderingContext2D.prototype.fillRect;
CanvasRenderingContext2D.prototype.fillRect = function (...box) {
  window.drawn += 1;
  fillRect.apply(this, box);
};
window.shifts = [];
new PerformanceObserver(list => {
  for (const entry of list.getEntries()) {
    const sources = entry.sources.map(it => it.node?.className ?? it.node?.nodeName);
    if (!entry.hadRecentInput) window.shifts.push([entry.value, ...sources]);
  }
}).observe({ type: "layout-shift", buffered: true });
"""
TOUCH = """
([type, points]) => {
  const lanes = document.querySelector("[data-part=lanes]");
  points.forEach(([clientX, clientY], n) => lanes.dispatchEvent(new PointerEvent(type, {
    bubbles: true, cancelable: true, pointerType: "touch", pointerId: 10 + n, clientX, clientY,
  })));
}
"""


class TimelinePage:
    """A page whose player has both waveforms and both spectrograms."""

    def __init__(self, player: PlayerPage) -> None:
        self.player = player
        self.tab = player.tab

    @property
    def slider(self) -> Locator:
        return self.tab.locator('[data-part="waveform"] [role="slider"]')

    @property
    def picture(self) -> Locator:
        """The canvas with both shapes."""
        return self.slider.locator("canvas")

    def button(self, name: str) -> Locator:
        return self.tab.get_by_role("button", name=name)

    async def box(self) -> FloatRect:
        """Where the slider is in the window."""
        await self.slider.scroll_into_view_if_needed()
        box = await self.slider.bounding_box()
        assert box is not None
        return box

    async def colours(self) -> list[str]:
        """From the top of the shapes to the middle."""
        found: list[str] = await self.picture.evaluate(COLOURS)
        return found

    async def shown(self) -> tuple[float, float]:
        """The stretch that is shown, in seconds."""
        left, width = await self.tab.evaluate(
            """() => {
              const strip = document.querySelector("[data-part=overview]");
              const shown = strip.querySelector("[data-part=shown]").getBoundingClientRect();
              const whole = strip.getBoundingClientRect();
              return [(shown.left - whole.left) / whole.width, parseFloat(
                strip.querySelector("[data-part=shown]").style.inlineSize) / 100];
            }"""
        )
        return left * SHORT_SECONDS, (left + width) * SHORT_SECONDS

    async def expect_span(self, seconds: float) -> None:
        async def is_so() -> bool:
            start, end = await self.shown()
            return abs(end - start - seconds) < 0.01

        await eventually(is_so)

    async def expect_position(self, seconds: float, within: float = 0.15) -> None:
        async def is_so() -> bool:
            return abs(float(await self.player.get("position")) - seconds) < within

        await eventually(is_so)

    async def touch(self, kind: str, *points: tuple[float, float]) -> None:
        await self.tab.evaluate(TOUCH, [kind, points])


@pytest_asyncio.fixture(loop_scope="session")
async def open_timeline(new_page: NewPage, short_job: DoneJob, site: Site) -> OpenTimeline:
    """Open the page of a job that has it all."""
    add_waveform(site, short_job.path, "original", SHORT_SECONDS, NOISY)
    add_waveform(site, short_job.path, "denoised", SHORT_SECONDS, CLEAN)

    async def open_page(*, spectrograms: Pictures = pictures, **options: Any) -> TimelinePage:
        page = await new_page(owner_of=short_job, **options)
        await page.tab.route("**/spectrogram/**", spectrograms)
        await page.context.add_init_script(RECORD)
        await page.goto(short_job.path)
        timeline = TimelinePage(PlayerPage(page))
        await expect(timeline.slider).to_be_visible()

        async def is_drawn() -> bool:
            return len(await timeline.colours()) == 2

        await eventually(is_drawn)
        return timeline

    return open_page


async def pictures(route: Route) -> None:
    await route.fulfill(content_type="image/png", body=_png(16, 8))


@pytest_asyncio.fixture(loop_scope="session")
async def timeline(open_timeline: OpenTimeline) -> TimelinePage:
    return await open_timeline()


async def test_the_clean_shape_stands_in_front_of_the_noisy_one(timeline: TimelinePage) -> None:
    outside, inside = await timeline.colours()
    assert outside != inside
    # Another side is heard: it stands out by other colours.
    await timeline.player.set("side", "removed")

    async def changed() -> bool:
        return outside not in await timeline.colours()

    await eventually(changed)


async def test_the_colours_follow_the_page(timeline: TimelinePage) -> None:
    before = await timeline.colours()
    await timeline.tab.emulate_media(color_scheme="dark")

    async def is_dark() -> bool:
        return not set(before) & set(await timeline.colours())

    await eventually(is_dark)
    await timeline.tab.evaluate(
        "document.documentElement.style.setProperty('--denoise-accent', 'rgb(1, 2, 3)')"
    )

    async def is_ours() -> bool:
        return "1,2,3,255" in await timeline.colours()

    await eventually(is_ours)


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
    # A click now is in what is shown.
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


async def test_nothing_is_drawn_while_it_plays(timeline: TimelinePage) -> None:
    await timeline.player.play_from(2)
    before = await timeline.tab.evaluate("drawn")
    await timeline.player.wait_until_position(4)
    assert await timeline.tab.evaluate("drawn") == before
    assert await timeline.tab.evaluate(
        "document.querySelector('[data-part=playhead]').style.transform"
    )
    # Zoomed, the view scrolls on: two screens are drawn at once.
    for _ in range(3):
        await timeline.button("Zoom in").click()
    await timeline.expect_span(2.5)
    each = await timeline.tab.evaluate("drawn") - before
    start = await timeline.tab.evaluate("drawn")
    await timeline.player.wait_until_position(9)
    assert await timeline.tab.evaluate("drawn") - start <= each * 3


async def test_nothing_moves_while_it_is_loaded(timeline: TimelinePage) -> None:
    assert await timeline.tab.evaluate("shifts") == []


async def test_both_spectrograms_are_there_in_the_same_zoom(timeline: TimelinePage) -> None:
    images = timeline.tab.locator('[data-part="spectrogram"] img')
    await expect(images).to_have_count(2)
    names = [await image.get_attribute("alt") for image in await images.all()]
    assert names == ["Spectrogram of the original", "Spectrogram of the clean recording"]
    for image in await images.all():
        assert await image.evaluate("it => it.complete && it.naturalWidth") == 16
    await timeline.player.seek(15)
    await timeline.button("Zoom in").click()
    await timeline.expect_span(10)
    scale = "it => new DOMMatrix(getComputedStyle(it).transform)"
    for image in await images.all():
        matrix = await image.evaluate(
            f"it => {{ const m = ({scale})(it); return [m.a, m.e / it.clientWidth]; }}"
        )
        # 15 s stays where it was, at three quarters: what is shown begins at 7.5 s.
        assert matrix == pytest.approx([2, -0.75], abs=0.01)


async def test_where_there_are_no_spectrograms_their_place_is_closed(
    open_timeline: OpenTimeline,
) -> None:
    async def broken(route: Route) -> None:
        await route.fulfill(content_type="image/png", body=b"no picture")

    timeline = await open_timeline(spectrograms=broken)
    images = timeline.tab.locator('[data-part="spectrogram"] img')
    await expect(images.first).to_be_hidden()
    await expect(images.last).to_be_hidden()


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


def _png(width: int, height: int) -> bytes:
    """A grey picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = (b"\0" + b"\x80" * width) * height
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)
