"""TLS with pinned addresses: the connection goes to the checked address, the certificate is
checked for the name."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from denoise_relay.backends.upstream import UpstreamBackend
from denoise_relay.backends.upstream.errors import DownloadFailed
from denoise_relay.testing import ScriptedUpstream, answers
from tests.contract.backends.upstream.certificates import certificate_for, trusted
from tests.contract.runs import NewRun

Serve = Callable[[str], AbstractAsyncContextManager[int]]


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, upstream: ScriptedUpstream) -> Serve:
    """Serve a result over TLS on 127.0.0.1 with a trusted certificate for one name."""

    @asynccontextmanager
    async def on(name: str) -> AsyncIterator[int]:
        certificate, key = certificate_for(name, tmp_path)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            body = upstream.result
            writer.write(answers.head(200, {"Content-Length": str(len(body))}) + body)
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
        with trusted(certificate, monkeypatch):
            async with server:
                yield server.sockets[0].getsockname()[1]

    return on


async def test_the_certificate_is_checked_for_the_name_not_the_address(
    upstream: ScriptedUpstream,
    new_backend: Callable[..., UpstreamBackend],
    new_run: NewRun,
    serve: Serve,
) -> None:
    async with serve("localhost") as port:
        url = f"https://localhost:{port}/results/x.wav"
        upstream.on_progress(answers.stream(answers.done(url)))
        result = await new_backend(ALLOWED_RESULT_HOSTS=("localhost",)).run(new_run())
    assert result.file is not None
    assert result.file.read_bytes() == upstream.result


async def test_a_certificate_for_another_name_is_refused(
    new_backend: Callable[..., UpstreamBackend], serve: Serve, tmp_path: Path
) -> None:
    async with serve("other.example") as port:
        url = f"https://localhost:{port}/results/x.wav"
        with pytest.raises(DownloadFailed, match=r"(?i)certificate"):
            await new_backend(ALLOWED_RESULT_HOSTS=("localhost",))._downloads.fetch(url, tmp_path)
