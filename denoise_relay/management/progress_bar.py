"""Progress of several jobs on a terminal: bars that move, or plain lines where they cannot."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from typing import NamedTuple

BAR_WIDTH = 24
NAME_WIDTH = 28
#: A plain line is written at each of these steps, not at each event.
STEP_PERCENT = 10


class Progress(NamedTuple):
    """The progress of one job, as text that is safe to print."""

    name: str
    pct: float
    message: str
    ended: bool = False


class ProgressBar:
    """Shows the progress of several jobs with `write`.

    `moves` says whether `write` writes to a terminal, where bars can be drawn again in place.
    """

    def __init__(self, write: Callable[[str], object], *, moves: bool) -> None:
        self._write = write
        self._moves = moves
        self._drawn = 0
        self._printed: dict[str, tuple[int, bool]] = {}

    def show(self, jobs: Mapping[str, Progress]) -> None:
        """Show all jobs; the key of a job stays the same from call to call."""
        size = shutil.get_terminal_size()
        if self._moves and len(jobs) < size.lines:
            self._draw([_bar(progress)[: size.columns - 1] for progress in jobs.values()])
        else:
            self._print(jobs)

    def _draw(self, lines: list[str]) -> None:
        up = f"\x1b[{self._drawn}A" if self._drawn else ""
        self._write(up + "".join(f"\x1b[2K{line}\n" for line in lines))
        self._drawn = len(lines)

    def _print(self, jobs: Mapping[str, Progress]) -> None:
        for key, progress in jobs.items():
            step = (int(progress.pct) // STEP_PERCENT, progress.ended)
            if self._printed.get(key) != step:
                self._printed[key] = step
                self._write(f"{progress.name}: {progress.pct:.0f}% {progress.message}\n")


def _bar(progress: Progress) -> str:
    filled = round(progress.pct / 100 * BAR_WIDTH)
    bar = "█" * filled + "░" * (BAR_WIDTH - filled)
    name = progress.name
    if len(name) > NAME_WIDTH:
        name = f"{name[: NAME_WIDTH - 1]}…"
    return f"{name:<{NAME_WIDTH}} {bar} {progress.pct:3.0f}% {progress.message}"
