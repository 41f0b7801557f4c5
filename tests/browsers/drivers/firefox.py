"""Firefox without a window, driven by WebDriver BiDi: commands and events over one WebSocket."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from tests.browsers.drivers.tab import KEYS, DriverError, Tab
from tests.processes import Process

COMMANDS = ("firefox-esr", "firefox")
#: For the slowest command, the first page.
ANSWER_SECONDS = 60.0
#: What Firefox says of a socket that was still being opened when its page was left.
LEFT = "was interrupted while the page was loading"
PREFERENCES = """\
user_pref("app.update.enabled", false);
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("network.proxy.type", 0);
user_pref("toolkit.telemetry.enabled", false);
"""
#: Errors that are no entries of the log.
REPORT_VIOLATIONS = """() => document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`blocked by ${event.violatedDirective}: ${event.blockedURI}`))"""


@contextlib.contextmanager
def firefox(folder: Path, environ: Mapping[str, str]) -> Iterator[Firefox]:
    """Run it with a new profile in `folder`; skips the test where it is not installed."""
    found = next(filter(None, map(shutil.which, COMMANDS)), None)
    if found is None:
        pytest.skip("no Firefox on the path")
    profile = folder / "profile"
    profile.mkdir()
    (profile / "user.js").write_text(PREFERENCES)
    command = [found, "--headless", "--no-remote", "--profile", str(profile)]
    command += ["--remote-debugging-port", "0", "about:blank"]
    with Process("firefox", command, env=environ, log=folder / "firefox.log") as process:
        written = profile / "WebDriverBiDiServer.json"
        process.wait_until(lambda: written.exists() and written.read_text())
        url = f"ws://127.0.0.1:{json.loads(written.read_text())['ws_port']}/session"
        with connect(url, max_size=None, proxy=None, open_timeout=10) as socket:
            yield Firefox(socket)


class Firefox:
    """A session of WebDriver BiDi over an open socket."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._last = 0
        self._entries: list[dict[str, Any]] = []
        self.command("session.new", capabilities={})
        self.command("session.subscribe", events=["log.entryAdded"])
        self.command("script.addPreloadScript", functionDeclaration=REPORT_VIOLATIONS)

    def new_tab(self) -> FirefoxTab:
        """A tab that shares no cookies with the others."""
        user = self.command("browser.createUserContext")["userContext"]
        created = self.command("browsingContext.create", type="tab", userContext=user)
        return FirefoxTab(self, created["context"], user)

    def errors_of(self, context: str) -> list[str]:
        """What was logged as an error in a browsing context."""
        self.command("session.status")  # what was sent before the answer is here with it
        return [
            str(entry["text"])
            for entry in self._entries
            if entry["level"] == "error"
            and entry["source"].get("context") == context
            and LEFT not in str(entry["text"])
        ]

    def command(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and return its result; events that come before it are kept.

        Raises `DriverError` for an error, and `TimeoutError` without an answer.
        """
        self._last += 1
        self._socket.send(json.dumps({"id": self._last, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv(timeout=ANSWER_SECONDS))
            if message["type"] == "event":
                self._entries.append(message["params"])
            elif message["id"] == self._last:
                break
        if message["type"] == "error":
            raise DriverError(f"{method}: {message['error']}: {message['message']}")
        result: dict[str, Any] = message["result"]
        return result


class FirefoxTab(Tab):
    """A browsing context, in a user context (a container) of its own."""

    def __init__(self, firefox: Firefox, context: str, user: str) -> None:
        self._firefox = firefox
        self._context = context
        self._user = user

    def goto(self, url: str) -> None:
        self._command("browsingContext.navigate", url=url, wait="complete")

    def set_cookie(self, url: str, name: str, value: str) -> None:
        domain = url.partition("://")[2].partition("/")[0].partition(":")[0]
        self._firefox.command(
            "storage.setCookie",
            cookie={"name": name, "value": {"type": "string", "value": value}, "domain": domain},
            partition={"type": "storageKey", "userContext": self._user},
        )

    def click(self, selector: str) -> None:
        element = self._element(selector)
        self._script("(it) => it.scrollIntoView({block: 'center', behavior: 'instant'})", element)
        origin = {"type": "element", "element": element}
        pointer = [
            {"type": "pointerMove", "x": 0, "y": 0, "origin": origin},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerUp", "button": 0},
        ]
        self._perform({"type": "pointer", "id": "mouse", "actions": pointer})

    def choose_file(self, selector: str, path: Path) -> None:
        self._command("input.setFiles", element=self._element(selector), files=[str(path)])

    def press(self, key: str) -> None:
        value = KEYS.get(key, key)
        strokes = [{"type": kind, "value": value} for kind in ("keyDown", "keyUp")]
        self._perform({"type": "key", "id": "keyboard", "actions": strokes})

    def problems(self) -> list[str]:
        return self._firefox.errors_of(self._context)

    def close(self) -> None:
        self._firefox.command("browser.removeUserContext", userContext=self._user)

    def _call(self, function: str, argument: str) -> str:
        return str(self._script(function, {"type": "string", "value": argument})["value"])

    def _script(self, function: str, *arguments: dict[str, Any]) -> dict[str, Any]:
        answer = self._firefox.command(
            "script.callFunction",
            functionDeclaration=function,
            arguments=list(arguments),
            target={"context": self._context},
            awaitPromise=True,
        )
        if answer["type"] == "exception":
            raise DriverError(answer["exceptionDetails"]["text"])
        result: dict[str, Any] = answer["result"]
        return result

    def _element(self, selector: str) -> dict[str, Any]:
        locator = {"type": "css", "value": selector}
        nodes = self._command("browsingContext.locateNodes", locator=locator, maxNodeCount=1)
        if not nodes["nodes"]:
            raise DriverError(f"no {selector} here")
        return {"sharedId": nodes["nodes"][0]["sharedId"]}

    def _perform(self, source: dict[str, Any]) -> None:
        self._command("input.performActions", actions=[source])

    def _command(self, method: str, **params: Any) -> dict[str, Any]:
        return self._firefox.command(method, context=self._context, **params)
