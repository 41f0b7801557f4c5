"""A warning about a result appears when the job ends, and is there again after a reload."""

from __future__ import annotations

from pathlib import Path

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import expect

from denoise_relay import engine
from denoise_relay.testing import tone_wav
from tests.browser.conftest import NewPage
from tests.sites import Site

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.skipif(not engine.available(), reason="needs the local engine"),
]
WORDS = "No speech was found in this recording."


async def test_a_warning_appears_live_and_stays(new_page: NewPage, tmp_path: Path) -> None:
    recording = tmp_path / "tone.wav"
    recording.write_bytes(tone_wav(3.0))
    with Site(tmp_path / "site", DEBUG="1", DENOISE_RELAY_BACKEND="local") as site:
        page = await new_page(base=site.serve().wait_until_ready().url)
        await page.goto()
        await page.choose(recording)
        await page.wait_for_job_page()
        await page.wait_for_stage(within_ms=40_000)
        warning = page.tab.locator("[data-part=warning]")
        await expect(warning).to_contain_text(WORDS)
        await expect(page.tab.locator("[data-part=announce]")).to_contain_text(WORDS)
        for scheme in ("light", "dark"):
            await page.tab.emulate_media(color_scheme=scheme)
            await page.tab.set_viewport_size({"width": 320, "height": 800})
            # Not in the middle of a transition of colours.
            await page.tab.reload()
            await expect(warning).to_contain_text(WORDS)
            assert not (await Axe().run(page.tab)).response["violations"]
        await page.goto()
        await expect(page.tab.locator(".denoise-row-warning")).to_contain_text(WORDS)
