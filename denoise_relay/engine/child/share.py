"""How many cores the child may use at the moment, as the parent says on standard input."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable


class Share:
    """A number of cores that may change. `most` is what it is at the beginning."""

    def __init__(self, cores: int = 1) -> None:
        self.most = cores
        self._cores = cores
        self._changed: Callable[[int], None] = lambda cores: None
        self._lock = threading.Lock()

    def on_change(self, changed: Callable[[int], None]) -> None:
        """Have `changed` called with what holds now, and then with each change, in any thread."""
        with self._lock:
            self._changed = changed
            changed(self._cores)

    def listen(self, descriptor: int) -> None:
        """Read lines with a number each, in a thread, until the other end is closed."""
        threading.Thread(
            target=self._listen, args=(descriptor,), name="denoise-share", daemon=True
        ).start()

    def _listen(self, descriptor: int) -> None:
        with (
            contextlib.suppress(OSError, ValueError),
            open(descriptor, "rb", closefd=False) as file,
        ):
            while line := file.readline(16):
                cores = int(line)
                with self._lock:
                    self._cores = max(min(cores, self.most), 1)
                    self._changed(self._cores)
