"""TLS with pinned addresses: the connection goes to the checked address, the certificate is
checked for the name."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from denoise_relay.backends.upstream import UpstreamBackend, http
from denoise_relay.backends.upstream.errors import DownloadFailed
from denoise_relay.testing import ScriptedUpstream, answers
from tests.contract.runs import NewRun

Serve = Callable[[str], AbstractAsyncContextManager[int]]


@pytest.fixture
def serve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, upstream: ScriptedUpstream
) -> Iterator[Serve]:
    """Serve a result over TLS on 127.0.0.1 with a trusted certificate for one name."""

    @asynccontextmanager
    async def on(name: str) -> AsyncIterator[int]:
        certificate, key = _certificate(name, tmp_path)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        http._tls.cache_clear()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            body = upstream.result
            writer.write(answers.head(200, {"Content-Length": str(len(body))}) + body)
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
        async with server:
            yield server.sockets[0].getsockname()[1]

    yield on
    http._tls.cache_clear()


def _certificate(name: str, folder: Path) -> tuple[Path, Path]:
    """Make a self-signed certificate that is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths


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
