"""What people hear who do not see the page."""

from __future__ import annotations

import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.browser.conftest import DoneJob, NewPage
from tests.browser.screen_reader import read_aloud
from tests.browser.site_page import SitePage

pytestmark = pytest.mark.asyncio(loop_scope="session")
PLAYER = "denoise-player[data-enhanced]"


@pytest_asyncio.fixture(loop_scope="session")
async def listener(new_page: NewPage, done_job: DoneJob) -> SitePage:
    """The page of a job that is done, when its comparison can be played."""
    page = await new_page(owner_of=done_job)
    await page.goto(done_job.path)
    await page.tab.wait_for_function(
        "() => document.querySelector('denoise-player[data-mode=instrument][data-ready]')"
    )
    return page


async def test_the_controls_of_the_player(listener: SitePage) -> None:
    phrases = await read_aloud(listener, PLAYER)
    assert phrases[0].startswith("heading, ")
    assert "button, Play" in phrases
    mix = next(phrase for phrase in phrases if phrase.startswith("slider, Mix, "))
    assert mix.endswith("current value 80% clean")
    slider = next(phrase for phrase in phrases if phrase.startswith("slider, Position, "))
    assert slider.endswith("current value 0:00 of 0:12")


async def test_the_sides_are_one_choice_of_four(listener: SitePage) -> None:
    phrases = await read_aloud(listener, PLAYER)
    first = phrases.index("radiogroup, What you hear")
    last = phrases.index("end of radiogroup, What you hear")
    radios = [phrase for phrase in phrases[first:last] if phrase.startswith("radio, ")]
    assert radios == [
        "radio, Original, not checked, key shortcuts 1, position 1, set size 4",
        "radio, Clean, checked, key shortcuts 2, position 2, set size 4",
        "radio, Removed, not checked, key shortcuts 3, position 3, set size 4",
        "radio, Mix, not checked, key shortcuts M, position 4, set size 4",
    ]


async def test_what_changes_is_said(listener: SitePage) -> None:
    await listener.tab.get_by_role("radio", name="Original").click()
    await listener.tab.evaluate("document.querySelector('denoise-player').seek(6)")
    await listener.button("Play").click()
    await expect(listener.button("Pause")).to_be_visible()
    await listener.button("Pause").click()
    phrases = await read_aloud(listener, PLAYER)
    assert any(phrase.startswith("radio, Original, checked, ") for phrase in phrases)
    assert any(phrase.startswith("radio, Clean, not checked, ") for phrase in phrases)
    slider = next(phrase for phrase in phrases if phrase.startswith("slider, Position, "))
    assert slider.endswith("current value 0:06 of 0:12")
