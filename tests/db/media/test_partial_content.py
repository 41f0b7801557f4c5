"""Ranges of recordings over HTTP."""

from __future__ import annotations

import pytest
from django.test import AsyncClient

from denoise_relay.media import responses
from denoise_relay.models import Job
from tests.db.media.recordings import CONTENT, SIZE, audio
from tests.db.requests import Response, fetch


@pytest.mark.parametrize(
    ("header", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=0-99", 0, 99),
        ("bytes=100-", 100, SIZE - 1),
        ("bytes=-24", SIZE - 24, SIZE - 1),
        (f"bytes={SIZE - 1}-{SIZE + 5}", SIZE - 1, SIZE - 1),
    ],
)
def test_range_is_partial_content(
    job: Job, client: AsyncClient, header: str, first: int, last: int
) -> None:
    answer = fetch(audio(job), client=client, headers={"range": header})

    assert answer.status == 206
    assert answer.body == CONTENT[first : last + 1]
    assert answer["Content-Range"] == f"bytes {first}-{last}/{SIZE}"
    assert answer["Content-Length"] == str(last - first + 1)


@pytest.mark.parametrize("header", ["bytes=0-1,4-5", "bytes=9-3", "seconds=0-1", "nonsense"])
def test_range_that_is_not_served_is_ignored(job: Job, client: AsyncClient, header: str) -> None:
    answer = fetch(audio(job), client=client, headers={"range": header})

    assert answer.status == 200
    assert answer.body == CONTENT


@pytest.mark.parametrize("header", [f"bytes={SIZE}-", "bytes=-0"])
def test_range_outside_is_refused_with_the_size(job: Job, client: AsyncClient, header: str) -> None:
    answer = fetch(audio(job), client=client, headers={"range": header})

    assert answer.status == 416
    assert answer["Content-Range"] == f"bytes */{SIZE}"
    assert answer.body == b""


def test_if_range_continues_the_same_file_only(job: Job, client: AsyncClient) -> None:
    etag = fetch(audio(job), client=client)["ETag"]
    ranged = {"range": "bytes=5-9"}

    same = fetch(audio(job), client=client, headers={**ranged, "if-range": etag})
    other = fetch(audio(job), client=client, headers={**ranged, "if-range": '"other"'})

    assert (same.status, same.body) == (206, CONTENT[5:10])
    assert (other.status, other.body) == (200, CONTENT)


def test_open_range_of_a_large_file_comes_in_parts_unless_saved(
    job: Job, client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(responses, "PARTS_FROM_BYTES", 500)
    monkeypatch.setattr(responses, "PART_BYTES", 300)

    def get(query: str, header: str) -> Response:
        return fetch(f"{audio(job)}{query}", client=client, headers={"range": header})

    part = get("", "bytes=0-")
    assert part["Content-Range"] == f"bytes 0-299/{SIZE}"
    assert part["Cache-Control"] == "private, no-store"
    assert get("", "bytes=900-")["Content-Range"] == f"bytes 900-{SIZE - 1}/{SIZE}"
    assert get("", "bytes=0-999")["Content-Range"] == f"bytes 0-999/{SIZE}"
    assert get("?download=1", "bytes=0-")["Content-Range"] == f"bytes 0-{SIZE - 1}/{SIZE}"
    assert fetch(audio(job), client=client).body == CONTENT
