"""The player on a finished job's page, by its controls."""

from __future__ import annotations

from typing import Any

from tests.browsers.drivers.tab import Tab

PLAYER = "document.querySelector('denoise-player')"


class PlayerPage:
    """A page with an enhanced player whose recordings are loaded, in a tab."""

    def __init__(self, tab: Tab, url: str) -> None:
        self.tab = tab
        tab.goto(url)
        tab.wait_until(f"() => {PLAYER}?.dataset.ready !== undefined && {PLAYER}.duration > 0")

    def press_play(self) -> None:
        """Click the button that plays, or pauses."""
        self.tab.click("[data-part=play]")

    def switch(self) -> None:
        """Change to the other side."""
        other = "denoised" if self.side == "original" else "original"
        self.tab.click(f"input[data-side={other}]")

    @property
    def position(self) -> float:
        return float(self._ask(f"() => {PLAYER}.position"))

    @property
    def side(self) -> str:
        return str(self._ask(f"() => {PLAYER}.side"))

    def wait_until_beyond(self, seconds: float) -> None:
        """Wait until it has been played beyond a position."""
        self.tab.wait_until(f"(seconds) => {PLAYER}.position > seconds", seconds)

    def wait_until_paused(self) -> None:
        self.tab.wait_until(f"() => !{PLAYER}.playing")

    def _ask(self, function: str) -> Any:
        return self.tab.evaluate(function)
