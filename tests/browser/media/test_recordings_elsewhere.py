"""A recording that is played from another server than the site's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.conftest import NewPage
from tests.sites import Site
from tests.upstreams import SteppedUpstream

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_result_that_stays_with_the_upstream_is_played(
    new_page: NewPage, upstream: SteppedUpstream, recording: Path, tmp_path: Path
) -> None:
    with Site(
        tmp_path / "site",
        DEBUG="1",
        DENOISE_RELAY_BACKEND="upstream",
        DENOISE_RELAY_UPSTREAM_URL=upstream.url,
        DENOISE_RELAY_API_KEY=upstream.key,
        DENOISE_RELAY_STORE_RESULTS="0",
    ) as site:
        # At its end, the fixture checks that the policy has blocked nothing.
        page = await new_page(base=site.serve().wait_until_ready().url)
        await page.upload(recording)
        await page.wait_for_stage()
        await page.button("Play").click()
        await page.wait_for_playback(0.5)
        source = await page.tab.locator("audio[data-source=denoised]").get_attribute("src")
        assert source is not None
        assert source.startswith(upstream.origin)
