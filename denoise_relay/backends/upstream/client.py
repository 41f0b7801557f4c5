"""The requests of the upstream contract, and of its extensions. No retries and no decisions
here."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
from django.core.exceptions import ImproperlyConfigured

from denoise_relay.backends.upstream.errors import OutcomeUnknown, Refused
from denoise_relay.backends.upstream.http import HttpClient, Timeouts, read_body, refuse_encoding
from denoise_relay.backends.upstream.messages import (
    HistoryRecord,
    decode_accepted,
    decode_error,
    decode_records,
)
from denoise_relay.backends.upstream.multipart import MultipartBody
from denoise_relay.conf import RelaySettings
from denoise_relay.events import clean_text
from denoise_relay.exceptions import ProtocolError
from denoise_relay.runtime.backoff import retry_after

ERROR_BODY_BYTES = 64 * 1024
HISTORY_BODY_BYTES = 8 * 1024 * 1024
PAGE_RECORDS = 100
#: By this header a relay says which extensions of the contract it understands, in every answer of
#: its API (`api.auth`). A stranger's server does not send it.
EXTENSIONS_HEADER = "Denoise-Relay-Extensions"
#: The extension that is asked for by the same header.
PREVIEW = "preview"
#: From the request to the whole answer, where the answer is small.
CALL_SECONDS = 30.0
#: After the last byte of an upload: the upstream may look at the file before it answers.
ANSWER_SECONDS = 120.0
#: Below this rate an upload is given up.
SLOWEST_UPLOAD_BYTES_PER_SECOND = 64 * 1024

_HEADER_SAFE = re.compile(r"[\x21-\x7e]*")


class UpstreamClient:
    """Speaks to `UPSTREAM_URL`, and sends the key nowhere else: no redirect is followed."""

    def __init__(self, settings: RelaySettings, http: HttpClient) -> None:
        if not _HEADER_SAFE.fullmatch(settings.API_KEY):
            # h11 would say so too, and quote the key.
            raise ImproperlyConfigured("API_KEY has characters that no HTTP header can carry")
        self._base = settings.UPSTREAM_URL.rstrip("/")
        self._key = settings.API_KEY
        self._silence = settings.UPSTREAM_SILENCE_SECONDS
        self._http = http
        #: What the upstream's last answer said that it understands beyond the contract
        #: (`EXTENSIONS_HEADER`): `idempotency-key`, `cancel`, `preview`.
        self.extensions: frozenset[str] = frozenset()
        # The floor is for a silence set very short: connecting takes a moment all the same.
        self._stream_timeouts = Timeouts(
            head=min(20.0, max(2.0, self._silence)), read=self._silence
        )

    @property
    def idempotent(self) -> bool:
        """Whether the upstream is known to make one job of all submissions with the same key."""
        return "idempotency-key" in self.extensions

    @property
    def key_headers(self) -> dict[str, str]:
        return {"x-api-key": self._key} if self._key else {}

    def owns(self, url: httpx.URL) -> bool:
        """Whether `url` has the origin of `UPSTREAM_URL`, and so may see the key."""
        return origin(url) == origin(httpx.URL(self._base))

    async def check_key(self) -> None:
        """Ask whether the key is good, cheaply. Raises `Refused`, `NotSent` or `OutcomeUnknown`."""
        await self.history(offset=0, limit=1)

    async def history(self, *, offset: int, limit: int = PAGE_RECORDS) -> list[HistoryRecord]:
        """Return one page of records, as the upstream orders them."""
        url = self._url("/denoise", offset=offset, limit=limit)
        headers = {"Accept": "application/json", **self.key_headers}
        timeouts = Timeouts(head=CALL_SECONDS, read=CALL_SECONDS)
        async with (
            _limited(CALL_SECONDS),
            self._open("GET", url, timeouts=timeouts, headers=headers) as response,
        ):
            await _raise_for_status(response)
            return decode_records(await read_body(response, HISTORY_BODY_BYTES))

    async def submit(self, upload: MultipartBody, size_bytes: int, *, key: str) -> str:
        """Post a file and return the upstream's id of the new job. Idempotent only where the
        upstream honours `key`, the same for all tries (`extensions`); others ignore it.

        Raises `Refused` and `NotSent`; `OutcomeUnknown` and `ProtocolError` mean that there may be
        a job now whose id we did not learn.
        """
        seconds = ANSWER_SECONDS + size_bytes / SLOWEST_UPLOAD_BYTES_PER_SECOND
        async with (
            _limited(seconds + CALL_SECONDS),
            self._open(
                "POST",
                self._url("/denoise"),
                timeouts=Timeouts(head=seconds, read=ANSWER_SECONDS),
                headers={
                    "Accept": "application/json",
                    "Idempotency-Key": key,
                    **upload.headers,
                    **self.key_headers,
                },
                content=upload.__aiter__(),
                abandon=upload.abandon,
            ) as response,
        ):
            await _raise_for_status(response)
            return decode_accepted(await read_body(response, ERROR_BODY_BYTES))

    async def cancel(self, upstream_id: str) -> None:
        """Ask the upstream to stop a job; an extension. Raises as `history`."""
        timeouts = Timeouts(head=CALL_SECONDS, read=CALL_SECONDS)
        async with self._open(
            "POST",
            self._url(f"/denoise/{upstream_id}/cancel"),
            timeouts=timeouts,
            headers=self.key_headers,
        ) as response:
            await _raise_for_status(response)

    async def shown(self, upstream_id: str, path: str, limit: int, **query: int) -> bytes:
        """What the upstream shows of a job that runs, below the job's own URL: at most `limit`
        bytes. The extension `preview`. Raises as `history`."""
        async with (
            _limited(CALL_SECONDS),
            self._open(
                "GET",
                self._url(f"/denoise/{upstream_id}/{path}", **query),
                timeouts=Timeouts(head=CALL_SECONDS, read=CALL_SECONDS),
                headers={EXTENSIONS_HEADER: PREVIEW, **self.key_headers},
            ) as response,
        ):
            await _raise_for_status(response)
            return await read_body(response, limit)

    @contextlib.asynccontextmanager
    async def progress(self, upstream_id: str) -> AsyncIterator[httpx.Response]:
        """Open the event stream of a job. Who reads it bounds its silence (`stream_clock`).

        Raises `Refused`, `NotSent`, `OutcomeUnknown`, and `ProtocolError` when what comes is no
        event stream.
        """
        headers = {
            "Accept": "text/event-stream",
            "Cache-Control": "no-cache",
            **self.key_headers,
        }
        async with self._open(
            "GET",
            self._url(f"/denoise/{upstream_id}/progress"),
            timeouts=self._stream_timeouts,
            headers=headers,
            stream=True,
        ) as response:
            await _raise_for_status(response, min(CALL_SECONDS, self._silence))
            # The media type is case-insensitive, and a charset in it means nothing for SSE.
            media_type = response.headers.get("content-type", "").partition(";")[0].strip()
            if media_type.lower() != "text/event-stream":
                raise ProtocolError(f"no event stream but {clean_text(media_type, 80)!r}")
            refuse_encoding(response)
            yield response

    @contextlib.asynccontextmanager
    async def _open(
        self, method: str, url: httpx.URL, **options: Any
    ) -> AsyncIterator[httpx.Response]:
        """`HttpClient.open`, and learn from the answer what the upstream understands."""
        async with self._http.open(method, url, **options) as response:
            named = response.headers.get(EXTENSIONS_HEADER, "")
            # An error may come from a proxy, which does not speak for the upstream.
            if named or response.is_success:
                self.extensions = frozenset(name.strip() for name in named[:200].split(","))
            yield response

    def _url(self, path: str, **query: int) -> httpx.URL:
        url = httpx.URL(self._base + path)
        return url.copy_merge_params(query) if query else url


def origin(url: httpx.URL) -> tuple[str, str, int]:
    """Scheme, host and port, the default port spelt out."""
    default = 443 if url.scheme == "https" else 80
    return url.scheme, url.host.lower(), url.port or default


async def _raise_for_status(response: httpx.Response, seconds: float = CALL_SECONDS) -> None:
    """Raise `Refused` for what is no success, with the reason if that comes in time."""
    if response.is_success:
        return
    message = ""
    # The reason is optional: a broken body must not hide the status.
    with contextlib.suppress(ProtocolError, httpx.HTTPError, TimeoutError):
        async with asyncio.timeout(seconds):
            body = await read_body(response, ERROR_BODY_BYTES)
        message = decode_error(body)
    if response.is_redirect:
        message = f"a redirect{_target(response)}, which is never followed"
    raise Refused(
        response.status_code,
        message,
        wait=retry_after(response.headers.get("retry-after")),
    )


def _target(response: httpx.Response) -> str:
    """Name the host that a redirect points to; the rest of the URL may be signed."""
    with contextlib.suppress(httpx.InvalidURL):
        host = httpx.URL(response.headers.get("location", "")[:2048]).host
        return f" to {clean_text(host, 100)}" if host else ""
    return ""


@contextlib.asynccontextmanager
async def _limited(seconds: float) -> AsyncIterator[None]:
    """A total limit: a body that drips byte by byte never meets the read timeout."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as exc:
        raise OutcomeUnknown(f"no answer within {seconds:.0f} s") from exc
