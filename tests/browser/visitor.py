"""A person at the site: one browser context, one page, and what went wrong in it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from playwright.async_api import (
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    WebSocket,
    expect,
)

WITHIN_MS = 20_000
"""For anything the server has to do."""
JOB_PAGE = re.compile(r"/jobs/[0-9a-f-]{36}/$")

# Keeps what the page's job shows over time, over reloads too.
RECORDER = """
new MutationObserver(() => {
  const job = document.querySelector("denoise-job[data-job]");
  if (!job || job.dataset.variant === "row") return;
  const seen = JSON.parse(sessionStorage.getItem("seen") ?? "[]");
  const pct = Number(job.dataset.pct);
  if (seen.at(-1) !== pct) sessionStorage.setItem("seen", JSON.stringify([...seen, pct]));
}).observe(document, { attributes: true, childList: true, subtree: true });
"""
DROP = """
([files]) => {
  const transfer = new DataTransfer();
  for (const [name, text] of files) {
    const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
    transfer.items.add(new File([bytes], name));
  }
  return transfer;
}
"""


class Visitor:
    """One page. Every console error, uncaught exception and CSP violation counts as a problem,
    unless `noise_expected` (a network that is cut makes the browser complain)."""

    def __init__(self, context: BrowserContext, page: Page, base: str) -> None:
        self.context = context
        self.page = page
        self.base = base
        self.problems: list[str] = []
        self.noise_expected = False
        self.sockets: list[WebSocket] = []
        self.loads = 0
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.problems.append(f"uncaught: {error}"))
        page.on("websocket", lambda socket: self.sockets.append(socket))
        page.on("load", self._loaded)

    def _heard(self, message: ConsoleMessage) -> None:
        expected = self.noise_expected and "Content Security Policy" not in message.text
        if message.type in ("error", "warning") and not expected:
            self.problems.append(f"{message.type}: {message.text} ({message.location})")

    def _loaded(self, _page: Page) -> None:
        self.loads += 1

    @property
    def job(self) -> Locator:
        """The job of a job page."""
        return self.page.locator("denoise-job")

    @property
    def rows(self) -> Locator:
        """Live rows on the upload page."""
        return self.page.locator(".denoise-row denoise-job")

    async def open(self, path: str = "/") -> None:
        await self.page.goto(f"{self.base}{path}")

    async def choose(self, *files: Path | dict[str, Any]) -> None:
        """Choose files in the form; with JavaScript the page sends them at once."""
        await self.page.locator('input[type="file"]').set_input_files(list(files))  # type: ignore[arg-type]

    async def drop(self, *files: Path) -> None:
        """Drop files onto the upload form."""
        pairs = [[file.name, base64.b64encode(file.read_bytes()).decode()] for file in files]
        transfer = await self.page.evaluate_handle(DROP, [pairs])
        await self.page.dispatch_event('[data-part="zone"]', "drop", {"dataTransfer": transfer})

    async def bring(self, recording: Path) -> str:
        """Upload one recording; return the path of its job's page, which is shown."""
        await self.open()
        await self.choose(recording)
        return await self.on_job_page()

    async def on_job_page(self) -> str:
        """Wait for a job's page; return its path."""
        await self.page.wait_for_url(JOB_PAGE, timeout=WITHIN_MS)
        return self.page.url.removeprefix(self.base)

    async def reaches(self, pct: float) -> float:
        """Wait until the job on the page is so far; return how far."""
        await self.page.wait_for_function(
            "pct => Number(document.querySelector('denoise-job').dataset.pct) >= pct",
            arg=pct,
            timeout=WITHIN_MS,
        )
        return float(await self.job.get_attribute("data-pct") or 0)

    async def ends(self, stage: str = "done") -> None:
        """Wait for the end, on this page."""
        # By a function: what `expect` would print of each state in between fills screens.
        await self.page.wait_for_function(
            "stage => document.querySelector('denoise-job')?.dataset.stage === stage",
            arg=stage,
            timeout=WITHIN_MS,
        )

    async def seen(self) -> Sequence[float]:
        """Each percentage that the job page has shown, in order."""
        kept: str = await self.page.evaluate("sessionStorage.getItem('seen') ?? '[]'")
        shown: list[float] = json.loads(kept)
        return shown

    async def another_page(self, path: str) -> Visitor:
        """The same person, in a second window."""
        other = Visitor(self.context, await self.context.new_page(), self.base)
        await other.open(path)
        await expect(other.page.locator("main")).to_be_visible()
        return other
