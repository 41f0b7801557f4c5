"""The page object: a job's page in any browser, by what a person does and hears there."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from tests.browsers.drivers.tab import Tab

RECORD_PERCENTAGES = """
() => {
  const job = document.querySelector("denoise-job[data-job]");
  if (!job || !location.pathname.startsWith("/jobs/")) return false;
  window.seenPercentages = [];
  const record = () => {
    const pct = Number(job.dataset.pct);
    if (window.seenPercentages.at(-1) !== pct) window.seenPercentages.push(pct);
  };
  new MutationObserver(record).observe(job, { attributes: true });
  record();
  return true;
}
"""


class JobPage:
    """A page of the site at `base`, in a tab."""

    def __init__(self, tab: Tab, base: str) -> None:
        self.tab = tab
        self.base = base

    # The job

    def upload(self, recording: Path) -> None:
        """Choose a recording in the form, and wait for its job's page."""
        self.tab.goto(f"{self.base}/")
        self.tab.choose_file("input[type=file]", recording)
        self.tab.wait_until(RECORD_PERCENTAGES)

    def wait_for_percent(self, pct: float) -> None:
        """Wait until the job has come so far."""
        self.tab.wait_until(
            "(pct) => Number(document.querySelector('denoise-job').dataset.pct) >= pct", pct
        )

    def wait_for_stage(self, stage: str) -> None:
        self.tab.wait_until(
            "(stage) => document.querySelector('denoise-job').dataset.stage === stage", stage
        )

    def expect_rising_percentages(self) -> None:
        """Check that this document has shown at least three steps, each larger than the last."""
        seen = self.tab.evaluate("() => window.seenPercentages")
        assert seen is not None, "the page was loaded again"
        assert len({pct for pct in seen if 0 < pct < 100}) >= 3, seen
        assert all(before < after for before, after in pairwise(seen)), seen

    def requests(self) -> list[str]:
        """The paths of what this document has fetched; sockets are none of them."""
        found: list[str] = self.tab.evaluate(
            "() => performance.getEntriesByType('resource').map((it) => new URL(it.name).pathname)"
        )
        return found
