"""The waveform of a job that runs: painted as the clean recording grows, and played."""

from __future__ import annotations

from pathlib import Path

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import expect

from tests.browser.conftest import RECORDING_SECONDS, NewPage
from tests.browser.player.waveform_rows import add_segment, add_waveform
from tests.browser.site_page import SitePage
from tests.sites import Site
from tests.upstreams import SteppedUpstream
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

NOISY, CLEAN = 100, 60
LISTEN = "Listen to the clean part"
RECORD_SHIFTS = """
window.shifts = [];
new PerformanceObserver(list => {
  for (const entry of list.getEntries()) {
    const sources = entry.sources.map(it => it.node?.className ?? it.node?.nodeName);
    window.shifts.push([entry.value, ...sources]);
  }
}).observe({ type: "layout-shift", buffered: true });
"""
#: How tall each column of a canvas is painted, as a fraction of its height.
HEIGHTS = """
canvas => {
  const { width, height } = canvas;
  // Of a copy: reading from it would make the page's own slow.
  const copy = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  copy.drawImage(canvas, 0, 0);
  const { data } = copy.getImageData(0, 0, width, height);
  return Array.from({ length: width }, (_, x) => {
    let painted = 0;
    for (let y = 0; y < height; y += 1) painted += data[(y * width + x) * 4 + 3] > 100 ? 1 : 0;
    return painted / height;
  });
}
"""


async def heights(page: SitePage, name: str) -> list[float]:
    found: list[float] = await page.part(name).evaluate(HEIGHTS)
    return found


async def frontier(page: SitePage) -> float:
    """How far the clean shape has come, in percent."""
    value: str = await page.tab.eval_on_selector(
        "denoise-waveform", "it => it.style.getPropertyValue('--denoise-frontier')"
    )
    return float(value.rstrip("%") or 0)


async def running(
    page: SitePage, site: Site, upstream: SteppedUpstream, recording: Path, segments: int = 0
) -> str:
    """A job that stands at 40 %, with its original's waveform, as its page shows it when opened."""
    upstream.limit = 40
    path = await page.upload_and_reach(recording, 40)
    add_waveform(site, path, "original", RECORDING_SECONDS, NOISY)
    for number in range(segments):
        add_segment(site, path, number, CLEAN)
    await page.context.add_init_script(RECORD_SHIFTS)
    # The waveform that the server made of the upload, which the browser may keep.
    browser = await page.context.new_cdp_session(page.tab)
    await browser.send("Network.clearBrowserCache")
    await page.goto(path)
    await expect(page.tab.locator("denoise-waveform[data-known]")).to_be_visible()
    return path


async def test_the_clean_shape_is_painted_as_far_as_it_has_come(
    page: SitePage, site: Site, upstream: SteppedUpstream, recording: Path
) -> None:
    path = await running(page, site, upstream, recording, segments=1)
    await eventually(lambda: _reached(page, 33.3))
    noisy, clean = await heights(page, "noisy"), await heights(page, "clean")
    assert min(noisy) > 0.7
    third = len(clean) // 3
    # Drawn taller than in the recording, as all quiet parts: less tall than the noise all the same.
    assert 0.5 < min(clean[: third - 2]) <= max(clean) < min(noisy) - 0.1
    assert max(clean[third + 2 :]) == 0
    await expect(page.part("reached")).to_have_text("0:04 of 0:12")
    add_segment(site, path, 1, CLEAN)
    upstream.limit = 60
    await eventually(lambda: _reached(page, 66.7))
    clean = await heights(page, "clean")
    assert min(clean[third : third * 2 - 2]) > 0.5
    await expect(page.tab.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "60")


async def test_the_upstream_of_a_stranger_is_a_sweep(
    page: SitePage, site: Site, upstream: SteppedUpstream, recording: Path
) -> None:
    await running(page, site, upstream, recording)
    assert await frontier(page) == 40
    assert await heights(page, "clean") == await heights(page, "noisy")
    await expect(page.button(LISTEN)).to_be_hidden()
    upstream.limit = 80
    await page.wait_for_percent(80)
    assert await frontier(page) >= 80


async def test_nothing_moves(
    page: SitePage, site: Site, upstream: SteppedUpstream, recording: Path
) -> None:
    path = await running(page, site, upstream, recording)
    add_segment(site, path, 0, CLEAN)
    upstream.limit = 60
    await expect(page.button(LISTEN)).to_be_visible()
    await page.wait_for_percent(60)
    assert await page.tab.evaluate("shifts") == []


async def test_without_a_waveform_it_takes_no_room(
    page: SitePage, site: Site, upstream: SteppedUpstream, recording: Path
) -> None:
    upstream.limit = 40
    path = await page.upload_and_reach(recording, 40)
    site.rows("DELETE FROM denoise_relay_waveform")
    await page.goto(path)
    await expect(page.tab.get_by_role("progressbar")).to_be_visible()
    assert await page.tab.locator("denoise-waveform").count() == 0


async def test_what_is_clean_can_be_heard(
    page: SitePage, site: Site, upstream: SteppedUpstream, recording: Path
) -> None:
    await running(page, site, upstream, recording, segments=2)
    await page.button(LISTEN).click()
    await expect(page.button("Pause")).to_be_visible()
    await _wait_for_place(page, 0.05)
    # A click on a clean place plays from there, one on what is still to come does nothing.
    box = await page.part("paint").bounding_box()
    assert box is not None
    middle = {"y": box["height"] / 2}
    await page.part("paint").click(position={"x": box["width"] * 0.9, **middle})
    assert await _place(page) < 0.5
    await page.part("paint").click(position={"x": box["width"] * 0.6, **middle})
    await _wait_for_place(page, 0.6)
    assert await _place(page) < 0.67
    await page.tab.keyboard.press("Tab")
    await page.button("Pause").press("ArrowLeft")
    await page.tab.wait_for_function(f"() => ({PLACE})() < 0.4")
    await page.button("Pause").click()
    await expect(page.button(LISTEN)).to_be_visible()


async def test_it_waits_at_the_end_of_what_is_clean_and_stops_when_the_job_has_ended(
    page: SitePage, site: Site, upstream: SteppedUpstream, recording: Path
) -> None:
    path = await running(page, site, upstream, recording, segments=1)
    painting = page.tab.locator("denoise-waveform")
    await page.button(LISTEN).focus()
    await page.tab.keyboard.press("Enter")
    # To the last second of what is there.
    box = await page.part("paint").bounding_box()
    assert box is not None
    await page.part("paint").click(position={"x": box["width"] * 0.3, "y": 20})
    await expect(painting).to_have_attribute("data-waiting", "true")
    await expect(page.button("Pause")).to_be_visible()
    add_segment(site, path, 1, CLEAN)
    upstream.limit = 60
    await expect(painting).to_have_attribute("data-waiting", "false")
    await _wait_for_place(page, 0.35)
    upstream.limit = 100
    await page.wait_for_stage()
    await expect(painting).to_have_attribute("data-playing", "false")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_accessible(
    new_page: NewPage, site: Site, upstream: SteppedUpstream, recording: Path, scheme: str
) -> None:
    page = await new_page(color_scheme=scheme, viewport={"width": 320, "height": 640})
    await running(page, site, upstream, recording, segments=1)
    await expect(page.button(LISTEN)).to_be_visible()
    found = await Axe().run(page.tab)
    assert found.violations_count == 0, found.generate_report()
    inside, whole = await page.tab.evaluate(
        "[document.documentElement.clientWidth, document.documentElement.scrollWidth]"
    )
    assert whole <= inside


async def test_with_reduced_motion_nothing_glides(
    new_page: NewPage, site: Site, upstream: SteppedUpstream, recording: Path
) -> None:
    page = await new_page(reduced_motion="reduce")
    await running(page, site, upstream, recording, segments=1)
    moving = await page.tab.evaluate(
        "document.getAnimations().filter(it => document.querySelector('denoise-waveform')"
        ".contains(it.effect.target)).length"
    )
    assert moving == 0
    clip = "it => getComputedStyle(it).transitionProperty + getComputedStyle(it).transitionDuration"
    assert "0s" in await page.part("clean").evaluate(clip)


#: Where the playhead is, as a fraction of the width.
PLACE = """() => {
  const paint = document.querySelector("[data-part=paint]");
  const { transform } = getComputedStyle(paint.querySelector("[data-part=heard]"));
  const { m41 } = new DOMMatrix(transform);
  return m41 / paint.clientWidth;
}"""


async def _place(page: SitePage) -> float:
    return float(await page.tab.evaluate(PLACE))


async def _wait_for_place(page: SitePage, fraction: float) -> None:
    await page.tab.wait_for_function(f"() => ({PLACE})() > {fraction}")


async def _reached(page: SitePage, percent: float) -> bool:
    return abs(await frontier(page) - percent) < 0.1
