"""A tus client that uploads in parts, one request at a time, so that tests can interrupt it."""

from __future__ import annotations

import base64
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import httpx

from tests.live.recordings import MIB

#: The size of a part, as the page sends them.
PART = 8 * MIB
TUS = {"Tus-Resumable": "1.0.0"}


class TusClient:
    """A browser session: it keeps its cookies when the site restarts on another port."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, trust_env=False, timeout=60)
        self.http.get("/")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.http.close()

    @property
    def token(self) -> str:
        found: str = self.http.cookies["csrftoken"]
        return found

    def create(self, file: Path) -> Upload:
        """Create an upload for a file; no part is sent yet."""
        name = base64.b64encode(file.name.encode()).decode()
        answer = self.http.post(
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
    """The upload of one file."""

    def __init__(self, client: TusClient, file: Path, url: str) -> None:
        self.client = client
        self.file = file
        self.size = file.stat().st_size
        self.url = url

    def server_offset(self) -> int:
        """How many bytes the server has, by its own word."""
        answer = self.client.http.head(self.url, headers=TUS)
        assert answer.status_code == 200, answer.status_code
        return int(answer.headers["upload-offset"])

    def headers(self, offset: int) -> dict[str, str]:
        return {
            **TUS,
            "X-CSRFToken": self.client.token,
            "Content-Type": "application/offset+octet-stream",
            "Upload-Offset": str(offset),
        }

    def part(self, offset: int, size: int = PART) -> bytes:
        with self.file.open("rb") as file:
            file.seek(offset)
            return file.read(size)

    def send(self, offset: int, size: int = PART) -> httpx.Response:
        return self.client.http.patch(
            self.url, content=self.part(offset, size), headers=self.headers(offset)
        )

    def parts(self, offset: int = 0, size: int = PART) -> Iterator[int]:
        """Send part after part; yield the server's offset after each."""
        while offset < self.size:
            answer = self.send(offset, size)
            assert answer.status_code == 204, f"{answer.status_code} {answer.text}"
            offset = int(answer.headers["upload-offset"])
            yield offset

    def interrupt(self, offset: int, after: int) -> None:
        """Send `after` bytes of a part, then reset the connection."""
        part = self.part(offset)
        base = urlsplit(str(self.client.http.base_url))
        cookies = "; ".join(f"{c.name}={c.value}" for c in self.client.http.cookies.jar)
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

    def send_rest(self, offset: int = 0) -> None:
        """Send all parts from an offset."""
        for _ in self.parts(offset):
            pass

    def finish(self) -> httpx.Response:
        """Make the job."""
        return self.client.http.post(
            "/",
            data={
                "csrfmiddlewaretoken": self.client.token,
                "upload": self.url.rstrip("/").rpartition("/")[2],
            },
            headers={"Accept": "application/json"},
        )
