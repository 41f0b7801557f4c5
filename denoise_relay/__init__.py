"""A voice-isolation job that people watch live and then listen to, as a Django app.

Importing this package imports nothing else, so that it can stand in `INSTALLED_APPS`
and so that the engine's child process starts without Django.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from denoise_relay.jobs.actions import asubmit, submit
    from denoise_relay.jobs.deletion import adelete, delete

__version__ = "0.1.0"
__all__ = ["adelete", "asubmit", "delete", "submit"]


def __getattr__(name: str) -> Any:
    """Load the functions at first use: they need Django's apps to be ready."""
    if name in __all__:
        from denoise_relay.jobs import actions, deletion

        return getattr(deletion if name.endswith("delete") else actions, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
