"""What both drivers give to a test: one tab of a browser, with cookies of its own."""

from __future__ import annotations

import abc
import json
from pathlib import Path
from typing import Any

from tests.waiting import wait_for

WITHIN_SECONDS = 20.0
#: The code points by which WebDriver names keys that write nothing.
KEYS = {
    "Tab": "\ue004",
    "End": "\ue010",
    "Home": "\ue011",
    "ArrowLeft": "\ue012",
    "ArrowRight": "\ue014",
}


class DriverError(Exception):
    """The browser refused a command, or a script in the page threw; says which and why."""


class Tab(abc.ABC):
    """Elements are named by CSS selectors; the first that matches is meant.

    Each method raises `DriverError` where the browser refuses, and for elements that are not there.
    """

    @abc.abstractmethod
    def goto(self, url: str) -> None:
        """Open an address, and wait until it is loaded."""

    @abc.abstractmethod
    def set_cookie(self, url: str, name: str, value: str) -> None:
        """Send a cookie with every request to the site of this address."""

    @abc.abstractmethod
    def click(self, selector: str) -> None:
        """Click in the middle of an element, as a person does: sound may play after it."""

    @abc.abstractmethod
    def choose_file(self, selector: str, path: Path) -> None:
        """Choose a file in a file field."""

    @abc.abstractmethod
    def press(self, key: str) -> None:
        """Press a key, named as in `KeyboardEvent.key`, where the focus is."""

    @abc.abstractmethod
    def problems(self) -> list[str]:
        """Errors of the page that the browser has told of; always none where it tells none."""

    @abc.abstractmethod
    def close(self) -> None:
        """Close it, and forget its cookies."""

    @abc.abstractmethod
    def _call(self, function: str, argument: str) -> str:
        """Call an asynchronous function of one string in the page; return the string it gives."""

    def evaluate(self, function: str, *arguments: Any) -> Any:
        """Call a function in the page; what goes in and comes out is JSON. Promises are awaited."""
        # As text, because the two protocols write values in two ways.
        wrapped = (
            f"async (text) => JSON.stringify((await ({function})(...JSON.parse(text))) ?? null)"
        )
        return json.loads(self._call(wrapped, json.dumps(arguments)))

    def wait_until(self, function: str, *arguments: Any, within: float = WITHIN_SECONDS) -> Any:
        """Call a function in the page until it returns something true, and return that.

        Raises `TimeoutError` with the function, and with the last error, after `within` seconds.
        """
        error: DriverError | None = None

        def attempt() -> Any:
            nonlocal error
            try:
                return self.evaluate(function, *arguments)
            except DriverError as raised:  # the page may be on its way to the next one
                error = raised
                return None

        try:
            return wait_for(attempt, within)
        except TimeoutError:
            raise TimeoutError(f"not within {within} s: {function} {arguments}") from error
