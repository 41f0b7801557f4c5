"""The page of a done job whose player has both waveforms and both spectrograms."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest_asyncio
from playwright.async_api import FloatRect, Locator, Route, expect

from tests.browser.conftest import DoneJob, NewPage
from tests.browser.player.conftest import SHORT_SECONDS, PlayerPage
from tests.browser.player.waveform_rows import add_waveform
from tests.sites import Site
from tests.waiting import eventually

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


def _png(width: int, height: int) -> bytes:
    """A grey picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = (b"\0" + b"\x80" * width) * height
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)
