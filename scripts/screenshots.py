#!/usr/bin/env python3
"""Take the pictures of the documentation: the player in five looks, and a job that runs.

    python scripts/screenshots.py RECORDING [docs/images]

Starts the demo site with the local engine on data of its own, and drives Chromium over it.
RECORDING should have a minute of noisy speech.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import av
from playwright.async_api import Browser, Page, async_playwright

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.sites import Site

WIDE = {"width": 1000, "height": 1100}
PHONE = {"width": 360, "height": 900}
#: File name and the options of Playwright's `new_context`.
LOOKS: dict[str, dict[str, Any]] = {
    "player": {},
    "player-dark": {"color_scheme": "dark"},
    "player-phone": {"viewport": PHONE},
    "player-arabic": {"locale": "ar"},
    "player-contrast": {"forced_colors": "active"},
}
#: Pictures of a running job at the most, and how many a second.
FRAMES, RATE = 150, 5
JOB_SECONDS = 280


async def watch(page: Page) -> list[bytes]:
    """Pictures of the card of a job that runs, until it ends."""
    card = page.locator(".denoise-working")
    frames: list[bytes] = []
    for _ in range(FRAMES):
        if not await card.is_visible():
            break
        frames.append(await card.screenshot(animations="allow"))
        await asyncio.sleep(1 / RATE)
    return frames


def animate(frames: list[bytes], target: Path) -> None:
    """Write pictures of equal size as an animated PNG that is repeated."""
    pictures = [next(av.open(BytesIO(data)).decode(video=0)) for data in frames]
    width, height = pictures[0].width, pictures[0].height
    with av.open(str(target), "w", format="apng", options={"plays": "0"}) as container:
        stream = container.add_stream("apng", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = width, height, "rgb24"
        for number, picture in enumerate(pictures):
            frame = picture.reformat(width, height, "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


async def take(browser: Browser, url: str, recording: Path, folder: Path) -> None:
    """Let a job run, and take all pictures of it."""
    first = await browser.new_context(viewport=WIDE, locale="en-GB")
    page = await first.new_page()
    await page.goto(url)
    await page.set_input_files('input[type="file"]', recording)
    await page.wait_for_url("**/jobs/**")
    frames = await watch(page)
    await page.wait_for_selector("denoise-player[data-ready]", timeout=JOB_SECONDS * 1000)
    animate(frames, folder / "cleaning.png")
    for name, options in LOOKS.items():
        context = await browser.new_context(
            **{"viewport": WIDE, "locale": "en-GB", **options},
            storage_state=await first.storage_state(),
        )
        look = await context.new_page()
        await look.goto(page.url)
        await look.wait_for_selector('denoise-player[data-mode="instrument"][data-ready]')
        await look.wait_for_load_state("networkidle")
        await look.locator("denoise-player").screenshot(path=folder / f"{name}.png")
        await context.close()


async def main(recording: Path, folder: Path) -> None:
    """Start the site and the browser, and end them."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with (
        tempfile.TemporaryDirectory() as data,
        Site(Path(data), DEBUG="1", DENOISE_RELAY_BACKEND="local") as site,
    ):
        url = site.serve().wait_until_ready().url
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=chromium, args=["--no-sandbox"]
            )
            await take(browser, url, recording, folder)
            await browser.close()


if __name__ == "__main__":
    pictures = Path(*sys.argv[2:3] or ["docs/images"])
    pictures.mkdir(parents=True, exist_ok=True)
    asyncio.run(main(Path(sys.argv[1]), pictures))
