"""The player on a finished job's page, by its controls."""

from __future__ import annotations

from typing import Any

from tests.browsers.drivers.tab import Tab

#: The media element that is heard.
MEDIUM = "document.querySelector('denoise-player audio[data-source=denoised]')"


class PlayerPage:
    """A page with an enhanced player whose recordings are loaded, in a tab."""

    def __init__(self, tab: Tab, url: str) -> None:
        self.tab = tab
        tab.goto(url)
        tab.wait_until("() => document.querySelector('denoise-player[data-enhanced]') !== null")
        tab.wait_until(
            "() => [...document.querySelectorAll('audio')].every((it) => it.readyState >= 2)"
        )

    def press_play(self) -> None:
        """Click the button that plays, or pauses."""
        self.tab.click("[data-part=play]")

    def switch(self) -> None:
        """Change to the other side."""
        self.tab.click("[data-part=switch]")

    @property
    def position(self) -> float:
        return float(self._ask(f"() => {MEDIUM}.currentTime"))

    @property
    def side(self) -> str:
        return str(self._ask("() => document.querySelector('denoise-player').dataset.side"))

    def wait_until_beyond(self, seconds: float) -> None:
        """Wait until it has been played beyond a position."""
        self.tab.wait_until(f"(seconds) => {MEDIUM}.currentTime > seconds", seconds)

    def wait_until_paused(self) -> None:
        self.tab.wait_until(f"() => {MEDIUM}.paused")

    def _ask(self, function: str) -> Any:
        return self.tab.evaluate(function)
