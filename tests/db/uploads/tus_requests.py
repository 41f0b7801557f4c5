"""What a tus client sends, with Django's test client."""

from __future__ import annotations

import base64
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.http import HttpResponse
from django.test import Client

from denoise_relay.access import SESSION_KEY, Viewer
from denoise_relay.testing import tone_wav
from denoise_relay.uploads import spool

TUS = {"Tus-Resumable": "1.0.0"}
WAV = tone_wav(0.5)
HALF = len(WAV) // 2


def metadata(name: str) -> str:
    """`Upload-Metadata` with this file name."""
    return f"filename {base64.b64encode(name.encode()).decode()}"


def post_upload(
    client: Client, length: int | str = len(WAV), name: str = "talk.wav"
) -> HttpResponse:
    """The answer to a request for a new upload."""
    headers = {**TUS, "Upload-Length": str(length), "Upload-Metadata": metadata(name)}
    return client.post("/uploads/", headers=headers)  # type: ignore[return-value]


def create_upload(client: Client, **about: Any) -> str:
    """The URL of a new upload."""
    answer = post_upload(client, **about)
    assert answer.status_code == 201, answer.content
    return answer["Location"]


def patch(client: Client, url: str, offset: int | str, part: bytes, **headers: str) -> HttpResponse:
    """Send one part; `Some_Header="x"` adds a header."""
    sent = {**TUS, "Upload-Offset": str(offset)} | {
        k.replace("_", "-"): v for k, v in headers.items()
    }
    kind = "application/offset+octet-stream"
    return client.patch(url, part, content_type=kind, headers=sent)  # type: ignore[return-value]


def offset_of(client: Client, url: str) -> int:
    return int(client.head(url, headers=TUS)["Upload-Offset"])


def complete(client: Client, url: str) -> HttpResponse:
    """Ask for the job of an upload."""
    data = {"upload": upload_id(url)}
    return client.post("/", data, headers={"Accept": "application/json"})  # type: ignore[return-value]


def upload_id(url: str) -> str:
    """The last part of an upload's URL."""
    return url.rstrip("/").rpartition("/")[2]


def upload_all(client: Client, **about: Any) -> str:
    """The URL of an upload whose parts have all been sent, and that is no job yet."""
    url = create_upload(client, **about)
    assert patch(client, url, 0, WAV).status_code == 204
    return url


def spool_files() -> list[str]:
    """Names of the files in the spool."""
    return sorted(path.name for path in spool.folder().iterdir())


def viewer_of(client: Client) -> Viewer:
    """The anonymous visitor of the client's session."""
    return Viewer(user=AnonymousUser(), visitor=client.session[SESSION_KEY])
