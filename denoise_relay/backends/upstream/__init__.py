"""The `upstream` backend: any server that speaks the contract does the job.

In: an assignment of the runner. Out: reports, and the result as a file or a URL. Start at
`backend`: it submits (`submission`), follows (`follower`) and fetches (`download`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from denoise_relay.backends.upstream.backend import UpstreamBackend

__all__ = ["UpstreamBackend"]


def __getattr__(name: str) -> Any:
    """Load the backend at first use: system checks, which need none of it, come without httpx."""
    if name in __all__:
        from denoise_relay.backends.upstream import backend

        return backend.UpstreamBackend
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
