"""Fetch a result: streamed to disk, bounded in size and time, through the address guard."""

from __future__ import annotations

import asyncio
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from urllib.parse import unquote

import httpx

from denoise_relay.backends.address_guard import BadUrl, Target, Unresolved, parse_url, resolve
from denoise_relay.backends.exchange import Broken, Exchanges, NotSent, Patience, refuse_encoding
from denoise_relay.backends.upload import MEDIA_TYPES
from denoise_relay.backends.upstream_client import UpstreamClient
from denoise_relay.conf import RelaySettings
from denoise_relay.exceptions import ProtocolError, RelayError
from denoise_relay.retry import retry_after

#: All of one download, redirects included.
TOTAL_SECONDS = 1800.0
MAX_REDIRECTS = 3
#: Written at once: a thread hop for each network chunk would cost more than the writing.
WRITE_BYTES = 1024 * 1024

_SUFFIXES = {media_type: suffix for suffix, media_type in reversed(MEDIA_TYPES.items())} | {
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/vnd.wave": "wav",
    "audio/x-flac": "flac",
    "audio/x-m4a": "m4a",
}


class DownloadFailed(RelayError):
    """This time the result could not be fetched; it may work again, or from a fresh URL."""

    def __init__(self, message: str, *, wait: float = 0.0) -> None:
        super().__init__(message)
        self.wait = wait


class TooLarge(DownloadFailed):
    """The result is larger than `MAX_RESULT_BYTES`."""


class Downloads:
    """Fetches results into workspaces; holds no state of its own."""

    def __init__(
        self, settings: RelaySettings, client: UpstreamClient, exchanges: Exchanges
    ) -> None:
        self._max_bytes = settings.MAX_RESULT_BYTES
        self._allowed_hosts = settings.ALLOWED_RESULT_HOSTS
        self._client = client
        self._exchanges = exchanges

    def vet(self, url: str) -> str:
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
        except (Unresolved, NotSent, Broken, ProtocolError) as exc:
            raise DownloadFailed(str(exc)) from exc
        except OSError as exc:
            raise DownloadFailed(f"the result cannot be written: {exc.strerror}") from exc

    async def _follow(self, url: httpx.URL, workspace: Path) -> Path:
        for _hop in range(MAX_REDIRECTS + 1):
            # Each hop is judged anew: a public host may redirect to a private one.
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
        async with self._exchanges.open(
            "GET",
            # The checked address is connected to; the name goes into Host and, for TLS, SNI.
            url.copy_with(host=address),
            patience=Patience(),
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
            raise TooLarge(f"the result has {announced[:19]} bytes, over {self._max_bytes}")
        size = 0
        with _create(path) as file:
            batch = bytearray()
            async for chunk in response.aiter_raw():
                size += len(chunk)
                if size > self._max_bytes:
                    raise TooLarge(f"the result exceeds {self._max_bytes} bytes")
                batch += chunk
                if len(batch) >= WRITE_BYTES:
                    await asyncio.to_thread(_write, file, bytes(batch))
                    batch.clear()
            await asyncio.to_thread(_write, file, bytes(batch))
        # A short body under Content-Length is a broken exchange already.
        if not size:
            raise DownloadFailed("the result is empty")
        return path


def _create(path: Path) -> BinaryIO:
    # Not in a thread: a cancel meanwhile would leave an open file that nobody knows of.
    return path.open("wb")


def _write(file: BinaryIO, data: bytes) -> None:
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
    named = PurePosixPath(unquote(url.path)).suffix.removeprefix(".").lower()
    if named in MEDIA_TYPES:
        return named
    media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return _SUFFIXES.get(media_type, "wav")
