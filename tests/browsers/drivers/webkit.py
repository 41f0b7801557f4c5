"""WebKitGTK's small browser, driven by WebDriver: one HTTP request for each command."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.browsers.drivers.tab import KEYS, DriverError, Tab
from tests.ports import free_port
from tests.processes import Process

#: Where distributions put a browser that is not meant for people, below these folders.
PLACES = ("/usr/lib", "/usr/libexec", "/usr/lib64")
PATTERNS = ("webkit2gtk-4.*/MiniBrowser", "*/webkit2gtk-4.*/MiniBrowser")
ANSWER_SECONDS = 60.0
#: The key under which WebDriver sends a reference to an element.
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
CALL = """
const [argument, done] = arguments;
(FUNCTION)(argument).then((text) => done({text}), (error) => done({error: String(error)}));
"""


@contextlib.contextmanager
def webkit(folder: Path, environ: Mapping[str, str]) -> Iterator[WebKit]:
    """Run the driver, with its log in `folder`; skips the test where it is not installed."""
    driver = shutil.which("WebKitWebDriver")
    browser = next(_small_browsers(), None)
    if driver is None or browser is None:
        pytest.skip("no WebKitWebDriver on the path, or no MiniBrowser of WebKitGTK")
    port = free_port()
    command = [driver, f"--port={port}"]
    with Process("webkit", command, env=environ, log=folder / "webkit.log") as process:
        process.wait_for_port(port)
        url = f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=url, trust_env=False, timeout=ANSWER_SECONDS) as http:
            yield WebKit(http, browser)


class WebKit:
    """The driver, which starts a browser for each tab."""

    def __init__(self, http: httpx.Client, browser: Path) -> None:
        self._http = http
        self._browser = browser

    def new_tab(self) -> WebKitTab:
        """A browser of its own, with one tab."""
        options = {"binary": str(self._browser), "args": ["--automation"]}
        wanted = {"alwaysMatch": {"webkitgtk:browserOptions": options}}
        session = self.command("POST", "/session", {"capabilities": wanted})["sessionId"]
        return WebKitTab(self, f"/session/{session}")

    def command(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Send a command and return its value. Raises `DriverError` for an error."""
        answer = self._http.request(method, path, json=body)
        value = answer.json()["value"]
        if answer.is_error:
            raise DriverError(f"{path}: {value['error']}: {value['message']}")
        return value


class WebKitTab(Tab):
    """A session of WebDriver, which has one tab."""

    def __init__(self, webkit: WebKit, path: str) -> None:
        self._webkit = webkit
        self._path = path

    def goto(self, url: str) -> None:
        self._post("/url", url=url)
        # The driver answers sooner: before the scripts of the page have run.
        self.wait_until("() => document.readyState === 'complete'")

    def set_cookie(self, url: str, name: str, value: str) -> None:
        self.goto(url)  # WebDriver sets cookies of the page that is shown
        self._post("/cookie", cookie={"name": name, "value": value})

    def click(self, selector: str) -> None:
        self._post(f"/element/{self._element(selector)}/click")

    def choose_file(self, selector: str, path: Path) -> None:
        self._post(f"/element/{self._element(selector)}/value", text=str(path))

    def press(self, key: str) -> None:
        value = KEYS.get(key, key)
        strokes = [{"type": kind, "value": value} for kind in ("keyDown", "keyUp")]
        self._post("/actions", actions=[{"type": "key", "id": "keyboard", "actions": strokes}])

    def problems(self) -> list[str]:
        return []

    def close(self) -> None:
        self._webkit.command("DELETE", self._path)

    def _call(self, function: str, argument: str) -> str:
        script = CALL.replace("FUNCTION", function)
        answer = self._post("/execute/async", script=script, args=[argument])
        if "error" in answer:
            raise DriverError(answer["error"])
        return str(answer["text"])

    def _element(self, selector: str) -> str:
        found = self._post("/element", using="css selector", value=selector)
        return str(found[ELEMENT])

    def _post(self, path: str, **body: Any) -> Any:
        return self._webkit.command("POST", f"{self._path}{path}", body)


def _small_browsers() -> Iterator[Path]:
    for place in map(Path, PLACES):
        for pattern in PATTERNS:
            yield from place.glob(pattern)
