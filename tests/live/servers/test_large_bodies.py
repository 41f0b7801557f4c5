"""Request bodies under Daphne: too large ones are refused, large ones delay no other request."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from denoise_relay import engine
from tests.live.servers.conftest import MakeSite, browser_of
from tests.processes import WebProcess

pytestmark = pytest.mark.skipif(not engine.available(), reason="needs the local engine")

SMALL_LIMIT = 1_000_000
#: The limit of a whole request: the file, and what the form adds.
LIMIT_PLUS_FORM = SMALL_LIMIT + 1024 * 1024


def first_line(web: WebProcess, request: Callable[[socket.socket], None]) -> bytes:
    """The first line of the answer to a request that may not have been sent whole."""
    with socket.create_connection(("127.0.0.1", web.port), timeout=10) as connection:
        request(connection)
        return connection.recv(4096).partition(b"\r\n")[0]


def test_bodies_that_are_too_large_are_refused_at_once(make_site: MakeSite) -> None:
    site = make_site(
        DENOISE_RELAY_MAX_UPLOAD_BYTES=str(SMALL_LIMIT), DENOISE_RELAY_WORKER="external"
    )
    web = site.serve()
    head = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/octet-stream\r\n"

    def terabyte(connection: socket.socket) -> None:
        connection.sendall(head + b"Content-Length: 1099511627776\r\n\r\nRIFF")

    def chunks(connection: socket.socket) -> None:
        connection.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n")
        chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        for _ in range(LIMIT_PLUS_FORM // 0x10000 + 2):
            connection.sendall(chunk)

    with browser_of(web) as browser:
        begun = time.monotonic()
        assert first_line(web, terabyte).startswith(b"HTTP/1.1 413 ")
        assert first_line(web, chunks).startswith(b"HTTP/1.1 413 ")
        # The API answers with an error of its contract.
        answer = httpx.post(
            f"{web.url}/api/v1/denoise", content=b"x" * (LIMIT_PLUS_FORM + 1), trust_env=False
        )
        assert answer.status_code == 400
        assert answer.json()["errorCode"] == "40002"
        assert answer.json()["errorMessage"].startswith("File size exceeds the maximum limit of ")
        assert time.monotonic() - begun < 3
        assert browser.get("/").status_code == 200


def test_a_large_upload_delays_no_other_request(make_site: MakeSite, tmp_path: Path) -> None:
    site = make_site(DENOISE_RELAY_WORKER="external")
    web = site.serve()
    junk = tmp_path / "junk.wav"
    with junk.open("wb") as file:
        for _ in range(190):
            file.write(os.urandom(1024 * 1024))
    answers: list[int] = []

    with browser_of(web) as browser:
        browser.get("/")
        form = {"csrfmiddlewaretoken": browser.cookies["csrftoken"]}

        def send() -> None:
            with junk.open("rb") as content:
                answer = browser.post("/", data=form, files={"audio": content}, timeout=50)
            answers.append(answer.status_code)

        sending = threading.Thread(target=send, name="test-upload")
        sending.start()
        waits: list[float] = []
        with httpx.Client(base_url=web.url, timeout=30) as other:
            while sending.is_alive():
                begun = time.monotonic()
                assert other.get("/healthz/live").status_code == 200
                waits.append(time.monotonic() - begun)
                sending.join(0.05)

    peak = web.memory_kb("VmHWM")
    assert len(waits) > 5
    assert max(waits) < 2.0, f"{max(waits):.2f} s"  # without our changes Daphne blocked for 12-19 s
    assert peak < 500 * 1024, f"{peak // 1024} MB"  # without them: 2.7 GB
    assert answers
    assert answers[0] < 500
    assert site.statuses() == []
