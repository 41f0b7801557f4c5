"""The whole demo, as a newcomer meets it: two sites, the real engine, the sample."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Visit
from tests.live.demo_process import DemoProcess

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(150),  # two databases, two servers, one engine
    pytest.mark.slow,
]


async def test_the_noisy_sample(visit: Visit, tmp_path: Path) -> None:
    with DemoProcess(tmp_path / "state") as demo:
        visitor = await visit(base=demo.ready().url)
        await visitor.open()
        await visitor.page.get_by_role("button", name="Try a noisy sample").click()
        await visitor.on_job_page()
        loads = visitor.loads
        await visitor.page.wait_for_function(
            "() => document.querySelector('denoise-job').dataset.stage === 'done'", timeout=60_000
        )
        seen = await visitor.seen()
        assert len({pct for pct in seen if 0 < pct < 100}) >= 3, seen
        assert all(before < after for before, after in pairwise(seen)), seen
        assert visitor.loads == loads
        await visitor.page.get_by_role("button", name="Play").click()
        await visitor.page.wait_for_function(
            "() => document.querySelector('audio[data-source=denoised]').currentTime > 0.3"
        )
        lengths = await visitor.page.eval_on_selector_all(
            "audio", "all => all.map(a => a.duration)"
        )
        assert abs(lengths[0] - lengths[1]) < 0.1, "before and after do not line up"
        await expect(visitor.page.get_by_role("button", name="Pause")).to_be_visible()
