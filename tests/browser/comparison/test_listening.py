"""A person listens blind with the keyboard, votes, and sees the result."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import expect

from tests.browser.comparison.site_rows import LOUDER_DB
from tests.browser.conftest import NewPage
from tests.browser.site_page import SitePage
from tests.processes import WebProcess
from tests.sites import Site

pytestmark = pytest.mark.asyncio(loop_scope="session")

RECORDINGS = 2
#: Keeps every gain of the page's audio graph.
KEEP_GAINS = """
window.gains = [];
const create = AudioContext.prototype.createGain;
AudioContext.prototype.createGain = function () {
  const node = create.call(this);
  window.gains.push(node.gain);
  return node;
};
"""


@dataclass(frozen=True)
class Comparing:
    """A site with a comparison, and somebody who may listen to it."""

    web: WebProcess
    path: str
    session: str


@pytest.fixture(scope="module")
def comparing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comparing]:
    with Site(
        tmp_path_factory.mktemp("comparing"), DEBUG="1", DENOISE_RELAY_WORKER="external"
    ) as site:
        code = f"from tests.browser.comparison import site_rows; site_rows.create({RECORDINGS})"
        comparison, session = site.manage("shell", "--no-imports", "-c", code).split()
        yield Comparing(site.serve().wait_until_ready(), f"/comparisons/{comparison}/", session)


@pytest_asyncio.fixture(loop_scope="session")
async def new_listener(new_page: NewPage, comparing: Comparing) -> NewPage:
    async def open_page(**options: object) -> SitePage:
        page = await new_page(base=comparing.web.url, **options)
        cookie = {"name": "sessionid", "value": comparing.session, "url": comparing.web.url}
        await page.context.add_cookies([cookie])  # type: ignore[list-item]
        return page

    return open_page


async def open_trial(page: SitePage, comparing: Comparing, method: str) -> None:
    # If other tests have answered all: another round.
    await page.goto(f"{comparing.path}{method}/?again=1")
    await expect(page.part("deck")).to_be_visible()


async def tab_to(page: SitePage, name: str) -> None:
    """Move the focus to the button of this name, by the Tab key only."""
    for _ in range(30):
        await page.tab.keyboard.press("Tab")
        focused = await page.tab.evaluate(
            "[document.activeElement.name, document.activeElement.textContent.trim()].join()"
        )
        if focused == f"answer,{name}":
            return
    raise AssertionError(f"Tab does not reach {name}")


async def vote(page: SitePage, *keys: str, given: str) -> None:
    """Listen to the sides of these keys, and answer; without a pointer."""
    keyboard = page.tab.keyboard
    await keyboard.press("Space")
    await expect(page.button("Pause")).to_be_visible()
    for key in keys:
        await expect(page.button(given).last).to_be_disabled()
        await keyboard.press(key)
        await expect(page.button(key.upper()).first).to_have_attribute("aria-pressed", "true")
        await expect(page.part("live")).to_have_text(key.upper())
    await expect(page.part("hint")).to_have_text("Switch as often as you like, then answer.")
    await tab_to(page, given)
    await keyboard.press("Enter")


async def test_votes_by_keyboard_lead_to_the_result(
    new_listener: NewPage, comparing: Comparing
) -> None:
    page = await new_listener()
    await page.goto(comparing.path)
    await expect(page.tab.get_by_text("2 of 2 recordings are ready.")).to_be_visible()
    await page.tab.get_by_role("link", name="Start").first.press("Enter")
    for number in range(1, RECORDINGS + 1):
        await expect(page.tab.get_by_text(f"Recording {number} of {RECORDINGS}")).to_be_visible()
        await expect(page.part("deck")).to_be_visible()
        await vote(page, "b", given="No difference")
    await expect(page.title).to_have_text("Results")
    row = page.tab.get_by_role("row", name="No difference")
    await expect(row.get_by_role("cell").first).to_have_text("2")

    await page.tab.get_by_role("link", name="Start").press("Enter")
    for _ in range(RECORDINGS):
        await expect(page.part("deck")).to_be_visible()
        await vote(page, "x", "b", given="A")
    await expect(page.tab.get_by_text("of 2 trials")).to_be_visible()
    async with page.tab.expect_download() as waiting:
        await page.tab.get_by_role("link", name="Download the votes").click()
    lines = (await (await waiting.value).path()).read_text().splitlines()
    assert len(lines) == 1 + 2 * RECORDINGS


async def test_levels_are_matched_and_a_switch_keeps_the_position(
    new_listener: NewPage, comparing: Comparing
) -> None:
    page = await new_listener()
    await page.context.add_init_script(KEEP_GAINS)
    await open_trial(page, comparing, "abx")
    await page.tab.keyboard.press("Space")
    gains = []
    positions = []
    for index, key in enumerate("abxo"):
        await page.tab.keyboard.press(key)
        # The cross-fade takes some milliseconds; then only this one is heard.
        await page.tab.wait_for_function(
            "heard => window.gains.every("
            "  (it, index) => index === heard ? it.value > 0.01 : it.value < 1e-5)",
            arg=index,
        )
        gains.append(await page.tab.evaluate("index => window.gains[index].value", index))
        positions.append(float(await page.part("seek").input_value()))
    assert positions == sorted(positions)
    louder, quieter = sorted(gains[:2])
    assert 20 * math.log10(quieter / louder) == pytest.approx(LOUDER_DB, abs=0.1)
    assert min(abs(gains[2] - gain) for gain in gains[:2]) < 1e-4, "X is as loud as its twin"
    assert await page.tab.evaluate("window.gains.length") == 4, "nothing was started anew"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", ["", "preference/?again=1", "results/?reveal=1"])
async def test_pages_are_accessible(
    new_listener: NewPage, comparing: Comparing, view: str, scheme: str
) -> None:
    page = await new_listener(color_scheme=scheme)
    await page.goto(f"{comparing.path}{view}")
    if view.startswith("preference"):
        await expect(page.part("deck")).to_be_visible()
    found = await Axe().run(page.tab)
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("locale", ["en-GB", "ar"])
@pytest.mark.parametrize("view", ["", "abx/?again=1", "results/?reveal=1"])
async def test_page_is_not_wider_than_the_window(
    new_listener: NewPage, comparing: Comparing, view: str, locale: str
) -> None:
    page = await new_listener(locale=locale, viewport={"width": 320, "height": 800})
    await page.goto(f"{comparing.path}{view}")
    if view.startswith("abx"):
        await expect(page.part("deck")).to_be_visible()
    inside, whole = await page.tab.evaluate(
        "[document.documentElement.clientWidth, document.documentElement.scrollWidth]"
    )
    assert whole <= inside


async def test_without_javascript_nobody_votes(new_listener: NewPage, comparing: Comparing) -> None:
    page = await new_listener(java_script_enabled=False)
    await page.goto(f"{comparing.path}preference/?again=1")
    await expect(page.tab.get_by_text("Comparing needs JavaScript")).to_be_visible()
    await expect(page.button("No difference")).to_be_disabled()
