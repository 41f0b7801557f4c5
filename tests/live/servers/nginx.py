"""nginx with docs/deploy/nginx.conf, in which only ports, names and certificate are replaced."""

from __future__ import annotations

import os
import shutil
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.ports import free_port
from tests.processes import ROOT, Process

CONF = ROOT / "docs/deploy/nginx.conf"
HOST = "127.0.0.1"
#: What includes the site's configuration.
MAIN_CONF = """\
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
    """The path of nginx."""
    found = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    assert found, "run scripts/install-system nginx"
    return found


class Nginx:
    """A configuration with `https://127.0.0.1:PORT` in front of two web processes."""

    def __init__(self, folder: Path, web_ports: tuple[int, int], port: int | None = None) -> None:
        self.port, self.plain_port = port or free_port(), free_port()
        folder.mkdir(parents=True, exist_ok=True)
        self._log = folder / "nginx.log"
        certificate, key = _certificate(folder)
        self.tls = ssl.create_default_context(cafile=certificate)
        text = CONF.read_text()
        for shipped, own in (
            ("server 127.0.0.1:8001 ", f"server 127.0.0.1:{web_ports[0]} "),
            ("server 127.0.0.1:8002 ", f"server 127.0.0.1:{web_ports[1]} "),
            ("listen 80;", f"listen {HOST}:{self.plain_port};"),
            ("listen 443 ssl;", f"listen {HOST}:{self.port} ssl;"),
            ("/etc/ssl/denoise/fullchain.pem", str(certificate)),
            ("/etc/ssl/denoise/privkey.pem", str(key)),
        ):
            assert text.count(shipped) == 1, shipped
            text = text.replace(shipped, own)
        (folder / "denoise.conf").write_text(text.replace("denoise.example", HOST))
        main_conf = folder / "nginx.conf"
        # As root, nginx runs its workers as "nobody", who may not read the test's folder.
        user = "user root;" if os.geteuid() == 0 else ""
        main_conf.write_text(MAIN_CONF.format(folder=folder, user=user))
        self._command = [program(), "-p", str(folder), "-c", str(main_conf), "-e", "stderr"]

    @property
    def url(self) -> str:
        return f"https://{HOST}:{self.port}"

    def start(self) -> Process:
        """Start it, and wait until it accepts connections."""
        process = Process("nginx", self._command, env=os.environ, log=self._log)
        process.wait_for_port(self.port)
        return process


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
