"""A person's browser that uploads in parts, one request at a time, so that tests can break it."""

from __future__ import annotations

import base64
import random
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import httpx

MIB = 1024 * 1024
PART = 8 * MIB
TUS = {"Tus-Resumable": "1.0.0"}
BYTES_PER_SECOND = 48_000 * 2 * 4


def loud_wav(path: Path, size: int) -> Path:
    """A WAV of `size` bytes of noise, no two parts alike: stereo, 48 kHz, 32 bits."""
    data = size - 44
    form = struct.pack("<HHIIHH", 1, 2, 48_000, BYTES_PER_SECOND, 8, 32)
    with path.open("wb") as file:
        file.write(b"RIFF" + struct.pack("<I", size - 8) + b"WAVE")
        file.write(b"fmt " + struct.pack("<I", len(form)) + form)
        file.write(b"data" + struct.pack("<I", data))
        for start in range(0, data, MIB):
            file.write(random.Random(start).randbytes(min(MIB, data - start)))
    return path


class Browser:
    """A session at a site; keeps its cookies when the site restarts elsewhere."""

    def __init__(self, url: str) -> None:
        self.client = httpx.Client(base_url=url, trust_env=False, timeout=60)
        self.client.get("/")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.client.close()

    @property
    def token(self) -> str:
        found: str = self.client.cookies["csrftoken"]
        return found

    def announce(self, file: Path) -> Upload:
        name = base64.b64encode(file.name.encode()).decode()
        answer = self.client.post(
            "/uploads/",
            headers={
                **TUS,
                "X-CSRFToken": self.token,
                "Upload-Length": str(file.stat().st_size),
                "Upload-Metadata": f"filename {name}",
            },
        )
        assert answer.status_code == 201, answer.text
        return Upload(self, file, answer.headers["location"])


class Upload:
    """One file on its way."""

    def __init__(self, browser: Browser, file: Path, url: str) -> None:
        self.browser = browser
        self.file = file
        self.size = file.stat().st_size
        self.url = url

    def stands(self) -> int:
        """Ask the server."""
        answer = self.browser.client.head(self.url, headers=TUS)
        assert answer.status_code == 200, answer.status_code
        return int(answer.headers["upload-offset"])

    def headers(self, offset: int) -> dict[str, str]:
        return {
            **TUS,
            "X-CSRFToken": self.browser.token,
            "Content-Type": "application/offset+octet-stream",
            "Upload-Offset": str(offset),
        }

    def part(self, offset: int, size: int = PART) -> bytes:
        with self.file.open("rb") as file:
            file.seek(offset)
            return file.read(size)

    def send(self, offset: int, size: int = PART) -> httpx.Response:
        return self.browser.client.patch(
            self.url, content=self.part(offset, size), headers=self.headers(offset)
        )

    def parts(self, offset: int = 0, size: int = PART) -> Iterator[int]:
        """Send part after part; tell where the server stands after each."""
        while offset < self.size:
            answer = self.send(offset, size)
            assert answer.status_code == 204, f"{answer.status_code} {answer.text}"
            offset = int(answer.headers["upload-offset"])
            yield offset

    def break_off(self, offset: int, after: int) -> None:
        """Send `after` bytes of a part, then reset the connection."""
        part = self.part(offset)
        base = urlsplit(str(self.browser.client.base_url))
        cookies = "; ".join(f"{c.name}={c.value}" for c in self.browser.client.cookies.jar)
        lines = {
            "Host": base.netloc,
            "Cookie": cookies,
            "Content-Length": str(len(part)),
            **self.headers(offset),
        }
        head = f"PATCH {self.url} HTTP/1.1\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in lines.items()) + "\r\n"
        with socket.create_connection((base.hostname, base.port), timeout=10) as line:
            line.sendall(head.encode() + part[:after])
            # With a linger time of 0, close() resets.
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def finish(self) -> httpx.Response:
        return self.browser.client.post(
            "/",
            data={
                "csrfmiddlewaretoken": self.browser.token,
                "upload": self.url.rstrip("/").rpartition("/")[2],
            },
            headers={"Accept": "application/json"},
        )
