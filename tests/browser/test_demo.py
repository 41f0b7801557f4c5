"""The demo in a browser: two sites, the real engine, the sample."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.browser.conftest import NewPage
from tests.live.demo_process import DemoProcess

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(150),  # two databases, two servers, one engine
    pytest.mark.slow,
]


async def test_the_noisy_sample(new_page: NewPage, tmp_path: Path) -> None:
    with DemoProcess(tmp_path / "state") as demo:
        page = await new_page(base=demo.ready().url)
        await page.goto()
        await page.button("Try a noisy sample").click()
        await page.wait_for_job_page()
        loads = page.loads
        await page.wait_for_stage("done", within_ms=60_000)
        await page.expect_rising_percentages()
        assert page.loads == loads
        await page.button("Play").click()
        await page.wait_for_playback(0.3)
        lengths = await page.tab.eval_on_selector_all("audio", "all => all.map(a => a.duration)")
        assert abs(lengths[0] - lengths[1]) < 0.1, "before and after do not line up"
        await expect(page.button("Pause")).to_be_visible()
