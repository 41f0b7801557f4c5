"""nginx with docs/deploy/nginx.conf as it is, but for ports, names and a certificate of its own."""

from __future__ import annotations

import os
import shutil
import signal
import ssl
import subprocess
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.live.processes import ROOT
from tests.ports import free_port
from tests.waiting import wait_for

CONF = ROOT / "docs/deploy/nginx.conf"
HOST = "127.0.0.1"
AROUND = """\
{user}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/denoise.conf;
}}
"""


def program() -> str:
    found = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    assert found, "run scripts/install-system nginx"
    return found


class Nginx:
    """`https://127.0.0.1:<port>` in front of web processes on two ports of 127.0.0.1."""

    def __init__(self, folder: Path, web_ports: tuple[int, int], port: int | None = None) -> None:
        self.port, self.plain_port = port or free_port(), free_port()
        folder.mkdir(parents=True, exist_ok=True)
        self._log = folder / "nginx.log"
        certificate, key = _certificate(folder)
        self.tls = ssl.create_default_context(cafile=certificate)
        text = CONF.read_text()
        for theirs, ours in (
            ("server 127.0.0.1:8001 ", f"server 127.0.0.1:{web_ports[0]} "),
            ("server 127.0.0.1:8002 ", f"server 127.0.0.1:{web_ports[1]} "),
            ("listen 80;", f"listen {HOST}:{self.plain_port};"),
            ("listen 443 ssl;", f"listen {HOST}:{self.port} ssl;"),
            ("/etc/ssl/denoise/fullchain.pem", str(certificate)),
            ("/etc/ssl/denoise/privkey.pem", str(key)),
        ):
            assert text.count(theirs) == 1, theirs
            text = text.replace(theirs, ours)
        (folder / "denoise.conf").write_text(text.replace("denoise.example", HOST))
        around = folder / "nginx.conf"
        # Its workers belong to nobody otherwise, and the test's folder to root alone.
        user = "user root;" if os.geteuid() == 0 else ""
        around.write_text(AROUND.format(folder=folder, user=user))
        self._command = [program(), "-p", str(folder), "-c", str(around), "-e", "stderr"]

    @property
    def url(self) -> str:
        return f"https://{HOST}:{self.port}"

    @property
    def text(self) -> str:
        """What it had to complain of."""
        return self._log.read_text()

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        wait_for(lambda: self._listens() or self._process.poll() is not None)
        assert self._process.poll() is None, self.text
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
        if error is not None:
            print(self.text)  # noqa: T201

    def _listens(self) -> bool:
        import socket

        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex((HOST, self.port)) == 0


def _certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1, signed by itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "denoise_relay tests")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(HOST))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(key, hashes.SHA256())
    )
    chain, secret = folder / "fullchain.pem", folder / "privkey.pem"
    chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return chain, secret
