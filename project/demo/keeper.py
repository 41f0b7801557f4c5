"""Starts again what died, after a moment and with a line saying so: people play with kill -9."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from project.demo.child import Child

PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 16.0
WELL_SECONDS = 10.0
"""Whoever lived so long starts again soon; the pause doubles for one that dies sooner."""


@dataclass(kw_only=True)
class Keeper:
    """Looks after children; `look` is called several times a second."""

    say: Callable[[str], None]
    #: When to start those that are dead (`time.monotonic`).
    _due: dict[Child, float] = field(default_factory=dict, init=False)
    _pauses: dict[Child, float] = field(default_factory=dict, init=False)

    def look(self, children: Iterable[Child]) -> None:
        """Note who has died, and start again those whose moment has come."""
        now = time.monotonic()
        for child in children:
            if child not in self._due:
                if how := child.ended():
                    self._due[child] = now + (pause := self._pause(child, now))
                    self.say(f"{_named(child)} has died ({how}); a new one in {pause:g} s.")
            elif now >= self._due[child]:
                del self._due[child]
                child.restart()
                self.say(f"{_named(child)} starts again as process {child.pid}.")

    def _pause(self, child: Child, now: float) -> float:
        if now - child.started_at >= WELL_SECONDS:
            pause = PAUSE_SECONDS
        else:
            pause = min(2 * self._pauses.get(child, PAUSE_SECONDS / 2), LONGEST_PAUSE_SECONDS)
        self._pauses[child] = pause
        return pause


def _named(child: Child) -> str:
    return f"{child.name[0].upper()}{child.name[1:]}"
