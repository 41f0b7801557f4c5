"""What a screen reader says about a part of a page, by a virtual one that runs in the page.

It computes names, roles, states and values as the standards say and speaks like common screen
readers; it sees the page as it is now, with what scripts have made of it.
"""

from __future__ import annotations

import pytest
from playwright.async_api import Route

from tests.browser.site_page import SitePage
from tests.processes import ROOT

BUILD = ROOT / "node_modules/@guidepup/virtual-screen-reader/lib/esm/index.browser.js"
#: The page's policy allows scripts of its own origin only, so it is served from there.
PATH = "/virtual-screen-reader.js"
MOST_PHRASES = 200
READ = """
async ([path, selector, most]) => {
  const { virtual } = await import(path);
  await virtual.start({ container: document.querySelector(selector) });
  try {
    const first = virtual.activeNode;
    const phrases = [await virtual.lastSpokenPhrase()];
    while (phrases.length < most) {
      await virtual.next();
      const phrase = await virtual.lastSpokenPhrase();
      // It goes round and round.
      if (virtual.activeNode === first && phrase === phrases[0]) return phrases;
      phrases.push(phrase);
    }
    throw new Error(`no end after ${phrases.join("; ")}`);
  } finally {
    await virtual.stop();
  }
}
"""


async def read_aloud(page: SitePage, selector: str) -> list[str]:
    """What is said when somebody reads an element from its start to its end, phrase by phrase.

    Skips the test without the package; the tier installs it.
    """
    if not BUILD.exists():
        pytest.skip("no virtual screen reader; run scripts/npm-packages")

    async def serve(route: Route) -> None:
        await route.fulfill(body=BUILD.read_bytes(), content_type="text/javascript")

    await page.tab.route(f"**{PATH}", serve)
    phrases: list[str] = await page.tab.evaluate(READ, [PATH, selector, MOST_PHRASES])
    return phrases
