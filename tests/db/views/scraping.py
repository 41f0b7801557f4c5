"""Reads /metrics as Prometheus does."""

from __future__ import annotations

from typing import Any

from django.test import AsyncClient

from denoise_relay.runtime import metrics
from tests.db.requests import Response, fetch


class Client(AsyncClient):
    """A client at this address that knows us by this host name."""

    def __init__(self, remote: str = "127.0.0.1", host: str = "127.0.0.1:8000") -> None:
        super().__init__()
        self.remote, self.host = remote, host

    def _base_scope(self, **request: Any) -> dict[str, Any]:
        scope: dict[str, Any] = super()._base_scope(**request)  # type: ignore[misc]
        others = [header for header in scope["headers"] if header[0] != b"host"]
        scope["headers"] = [(b"host", self.host.encode()), *others]
        scope["client"] = [self.remote, 40000] if self.remote else None
        return scope


def value(name: str, **labels: str) -> float:
    """What this process has counted under a name so far."""
    return metrics.REGISTRY.get_sample_value(f"denoise_relay_{name}", labels) or 0.0


def read(client: Client | None = None, **kwargs: Any) -> Response:
    return fetch("/metrics", client=client or Client(), **kwargs)
