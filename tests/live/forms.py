"""Submitting the upload form of a site, as a browser without JavaScript does."""

from __future__ import annotations

import re
from typing import Any

import httpx


def submit(
    browser: httpx.Client,
    recording: bytes | None = None,
    *,
    page: str = "/",
    headers: dict[str, str] | None = None,
) -> str:
    """Send a recording, or the sample if there is none; return the job's id."""
    form = browser.get(page)
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form.text)
    assert token, form.text
    data = {"csrfmiddlewaretoken": token.group(1)}
    files: dict[str, Any] | None = None
    if recording is None:
        data["sample"] = "1"
    else:
        files = {"audio": ("my recording.wav", recording, "audio/wav")}
    answer = browser.post(page, data=data, files=files, headers=headers)
    assert answer.status_code == 302, answer.text
    return answer.headers["location"].rstrip("/").rpartition("/")[2]


def cookie_header(browser: httpx.Client) -> dict[str, str]:
    """The cookies of a browser, for a request that another client sends."""
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    return {"Cookie": cookies}
