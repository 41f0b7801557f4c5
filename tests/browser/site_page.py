"""The page object: one page of the site in a browser, what a person does on it, and its errors."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from itertools import pairwise
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

#: For anything that the server has to do.
WITHIN_MS = 20_000
JOB_PAGE = re.compile(r"/jobs/[0-9a-f-]{36}/$")

#: Records each percentage that the page's job shows, also over reloads.
RECORD_PERCENTAGES = """
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


class SitePage:
    """One page. Every console error, uncaught exception and CSP violation counts as a problem,
    unless `errors_expected` (a browser logs failed requests); CSP violations always count."""

    def __init__(self, context: BrowserContext, page: Page, base: str) -> None:
        self.context = context
        #: Playwright's page.
        self.tab = page
        #: The address of the site.
        self.base = base
        self.problems: list[str] = []
        self.errors_expected = False
        self.sockets: list[WebSocket] = []
        #: How often a document was loaded.
        self.loads = 0
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.problems.append(f"uncaught: {error}"))
        page.on("websocket", lambda socket: self.sockets.append(socket))
        page.on("load", self._on_load)

    def _on_console(self, message: ConsoleMessage) -> None:
        expected = self.errors_expected and "Content Security Policy" not in message.text
        if message.type in ("error", "warning") and not expected:
            self.problems.append(f"{message.type}: {message.text} ({message.location})")

    def _on_load(self, _page: Page) -> None:
        self.loads += 1

    # What is on the page

    @property
    def job(self) -> Locator:
        """The job of a job page."""
        return self.tab.locator("denoise-job")

    @property
    def rows(self) -> Locator:
        """Live rows on the upload page."""
        return self.tab.locator(".denoise-row denoise-job")

    @property
    def title(self) -> Locator:
        """The main heading; on a job's page, the name of the recording."""
        return self.tab.get_by_role("heading", level=1)

    @property
    def file_field(self) -> Locator:
        return self.tab.locator('input[type="file"]')

    @property
    def field_error(self) -> Locator:
        """The message at the file field."""
        return self.tab.locator("#denoise-error")

    def button(self, name: str) -> Locator:
        return self.tab.get_by_role("button", name=name)

    def heading(self, name: str) -> Locator:
        return self.tab.get_by_role("heading", name=name)

    def part(self, name: str) -> Locator:
        """The element with this `data-part`."""
        return self.tab.locator(f'[data-part="{name}"]')

    def badge(self, file_name: str) -> Locator:
        """The state that the row of a recording shows."""
        return self.rows.filter(has_text=file_name).locator('[data-part="badge"]')

    async def expect_refusal_at_field(self) -> None:
        """Check that the file field is invalid, and described by the error."""
        await expect(self.file_field).to_have_attribute("aria-invalid", "true")
        described_by = await self.file_field.get_attribute("aria-describedby") or ""
        assert "denoise-error" in described_by.split()

    # Uploading

    async def goto(self, path: str = "/") -> None:
        await self.tab.goto(f"{self.base}{path}")

    async def choose(self, *files: Path | dict[str, Any]) -> None:
        """Choose files in the form; with JavaScript the page sends them at once."""
        await self.file_field.set_input_files(list(files))  # type: ignore[arg-type]

    async def drop(self, *files: Path) -> None:
        """Drop files onto the upload form."""
        pairs = [[file.name, base64.b64encode(file.read_bytes()).decode()] for file in files]
        transfer = await self.tab.evaluate_handle(DROP, [pairs])
        await self.tab.dispatch_event('[data-part="zone"]', "drop", {"dataTransfer": transfer})

    async def upload(self, recording: Path) -> str:
        """Upload one recording; return the path of its job's page, which is shown."""
        await self.goto()
        await self.choose(recording)
        return await self.wait_for_job_page()

    async def upload_and_reach(self, recording: Path, pct: float) -> str:
        """Upload one recording, and wait until its job has come so far; return its path."""
        path = await self.upload(recording)
        await self.wait_for_percent(pct)
        return path

    # Following a job

    async def wait_for_job_page(self, *, other_than: str | None = None) -> str:
        """Wait for a job's page; return its path."""

        def is_job_page(url: str) -> bool:
            return bool(JOB_PAGE.search(url)) and (other_than is None or other_than not in url)

        await self.tab.wait_for_url(is_job_page, timeout=WITHIN_MS)
        return self.tab.url.removeprefix(self.base)

    async def wait_for_percent(self, pct: float) -> float:
        """Wait until the job on the page has come so far; return how far it is."""
        await self.tab.wait_for_function(
            "pct => Number(document.querySelector('denoise-job').dataset.pct) >= pct",
            arg=pct,
            timeout=WITHIN_MS,
        )
        return float(await self.job.get_attribute("data-pct") or 0)

    async def wait_for_stage(self, stage: str = "done", within_ms: float = WITHIN_MS) -> None:
        """Wait until the job on the page is in a stage."""
        # Not by `expect`, which prints every state in between when it fails.
        await self.tab.wait_for_function(
            "stage => document.querySelector('denoise-job')?.dataset.stage === stage",
            arg=stage,
            timeout=within_ms,
        )

    async def shown_percentages(self) -> Sequence[float]:
        """Each percentage that the job page has shown, in order."""
        kept: str = await self.tab.evaluate("sessionStorage.getItem('seen') ?? '[]'")
        shown: list[float] = json.loads(kept)
        return shown

    async def expect_rising_percentages(self) -> None:
        """Check that the page has shown at least three steps, each larger than the last."""
        seen = await self.shown_percentages()
        assert len({pct for pct in seen if 0 < pct < 100}) >= 3, seen
        assert all(before < after for before, after in pairwise(seen)), seen

    async def wait_for_playback(self, seconds: float) -> None:
        """Wait until the player has played beyond this position."""
        await self.tab.wait_for_function(
            "position => document.querySelector('denoise-player').position > position",
            arg=seconds,
        )

    async def open_in_new_tab(self, path: str) -> SitePage:
        """Open a page of the same person in a second tab."""
        other = SitePage(self.context, await self.context.new_page(), self.base)
        await other.goto(path)
        await expect(other.tab.locator("main")).to_be_visible()
        return other
