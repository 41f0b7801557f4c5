"""Fetch a result: streamed to disk, bounded in size and time, through the address guard."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote

import httpx

from denoise_relay.backends.upstream.client import UpstreamClient
from denoise_relay.backends.upstream.errors import (
    BadUrl,
    DownloadFailed,
    NotSent,
    OutcomeUnknown,
    ResultTooLarge,
    Unresolved,
)
from denoise_relay.backends.upstream.http import HttpClient, Timeouts, refuse_encoding
from denoise_relay.backends.upstream.ssrf_guard import Target, parse_url, resolve
from denoise_relay.conf import RelaySettings
from denoise_relay.events import clean_text
from denoise_relay.exceptions import ProtocolError
from denoise_relay.formats import MEDIA_TYPES, extension_for, extension_of, is_text
from denoise_relay.runtime import disk
from denoise_relay.runtime.backoff import retry_after

#: All of one download, redirects included.
TOTAL_SECONDS = 1800.0
MAX_REDIRECTS = 3
#: Written at once: a thread hop for each network chunk would cost more than the writing.
WRITE_BYTES = 1024 * 1024
#: The beginning of a file, which tells a text from a recording.
HEAD_BYTES = 512


class Downloads:
    """Fetches results into workspaces; holds no state of its own."""

    def __init__(self, settings: RelaySettings, client: UpstreamClient, http: HttpClient) -> None:
        self._max_bytes = settings.MAX_RESULT_BYTES
        self._allowed_hosts = settings.ALLOWED_RESULT_HOSTS
        self._client = client
        self._http = http

    def checked(self, url: str) -> str:
        """Return a URL whose form is good, to be passed through; raises `BadUrl`."""
        return str(parse_url(url))

    async def fetch(self, url: str, workspace: Path) -> Path:
        """Download to a file in `workspace` and return its path.

        Raises `BadUrl` for what may never be fetched, `DownloadFailed` for what may work
        another time.
        """
        try:
            async with asyncio.timeout(TOTAL_SECONDS):
                return await self._follow(parse_url(url), workspace)
        except TimeoutError as exc:
            raise DownloadFailed(f"no result within {TOTAL_SECONDS:.0f} s") from exc
        except (Unresolved, NotSent, OutcomeUnknown, ProtocolError) as exc:
            raise DownloadFailed(str(exc)) from exc
        except OSError as exc:
            raise DownloadFailed(f"the result cannot be written: {exc.strerror}") from exc

    async def _follow(self, url: httpx.URL, workspace: Path) -> Path:
        for _hop in range(MAX_REDIRECTS + 1):
            # Each hop is checked again: a public host may redirect to a private one.
            target = await resolve(url, self._allowed_hosts)
            found = await self._get(target, workspace)
            if isinstance(found, Path):
                return found
            url = found
        raise DownloadFailed(f"more than {MAX_REDIRECTS} redirects")

    async def _get(self, target: Target, workspace: Path) -> Path | httpx.URL:
        """Try each address; the first that answers decides."""
        fault: NotSent | None = None
        for address in target.addresses:
            try:
                return await self._get_from(address, target.url, workspace)
            except NotSent as exc:
                fault = exc
        raise fault or DownloadFailed(f"{target.url.host} has no address")

    async def _get_from(self, address: str, url: httpx.URL, workspace: Path) -> Path | httpx.URL:
        headers = {"Host": url.netloc.decode("ascii"), "Accept": "*/*"}
        if self._client.owns(url):
            headers |= self._client.key_headers
        async with self._http.open(
            "GET",
            # The checked address is connected to; the name goes into Host and, for TLS, SNI.
            url.copy_with(host=address),
            timeouts=Timeouts(),
            headers=headers,
            sni_hostname=url.raw_host.decode("ascii"),
        ) as response:
            if response.is_redirect:
                return _redirected(url, response)
            if response.status_code != httpx.codes.OK:
                raise DownloadFailed(
                    f"{url.host} answered HTTP {response.status_code}",
                    wait=retry_after(response.headers.get("retry-after")),
                )
            refuse_encoding(response)
            return await self._save(response, workspace / f"result.{_suffix(url, response)}")

    async def _save(self, response: httpx.Response, path: Path) -> Path:
        announced = response.headers.get("content-length", "")
        if announced.isdigit() and int(announced[:19]) > self._max_bytes:
            raise ResultTooLarge(f"the result has {announced[:19]} bytes, over {self._max_bytes}")
        size, head = 0, b""
        with _create(path) as file:
            batch = bytearray()
            async for chunk in response.aiter_raw():
                size += len(chunk)
                head += chunk[: HEAD_BYTES - len(head)]
                if size > self._max_bytes:
                    raise ResultTooLarge(f"the result exceeds {self._max_bytes} bytes")
                batch += chunk
                if len(batch) >= WRITE_BYTES:
                    await asyncio.to_thread(_write, file, bytes(batch), path.parent)
                    batch.clear()
            await asyncio.to_thread(_write, file, bytes(batch), path.parent)
        # A body shorter than its Content-Length has raised `OutcomeUnknown` already.
        if not size:
            raise DownloadFailed("the result is empty")
        if is_text(head):
            # A maintenance page, sent with status 200. The recording may come another time.
            kind = clean_text(response.headers.get("content-type", ""), 60)
            raise DownloadFailed(f"the result is a text and no recording ({kind or 'no type'})")
        return path


def _create(path: Path) -> BinaryIO:
    # Not in a thread: a cancel meanwhile would leave a file open.
    return path.open("wb")


def _write(file: BinaryIO, data: bytes, folder: Path) -> None:
    # Many results may come at once: `MAX_RESULT_BYTES` bounds one, this all of them.
    disk.require_room(folder)
    file.write(data)
    file.flush()  # here, in a thread, and not when the loop closes the file


def _redirected(url: httpx.URL, response: httpx.Response) -> httpx.URL:
    location = response.headers.get("location", "")
    try:
        return parse_url(str(url.join(location)))
    except (httpx.InvalidURL, UnicodeError) as exc:
        raise BadUrl("a redirect to no URL") from exc


def _suffix(url: httpx.URL, response: httpx.Response) -> str:
    """What the file is, by its name or its media type; the contract's own results are WAV."""
    named = extension_of(unquote(url.path))
    if named in MEDIA_TYPES:
        return named
    return extension_for(response.headers.get("content-type", "")) or "wav"
