"""The local denoiser: pure audio code, no Django, and no native code in the calling process.

`probe` measures a file, `denoise` writes its denoised copy, `verify` compares the two, `analyse`
makes what a player shows of them, `excerpt` cuts out the passage with most speech, `convert` makes
FLAC of any recording, and `splitting` has what long recordings need. All work in a child process
with limits, so that a hostile file or a crash in a codec ends one job and not the server.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

from denoise_relay.engine.errors import EngineCrashed, EngineUnavailable, MediaRejected
from denoise_relay.engine.presets import PRESETS, Preset, available
from denoise_relay.engine.protocol import (
    SEGMENT_SECONDS,
    Analysis,
    Conversion,
    Excerpt,
    PartsPlan,
    Probe,
    Rendering,
    Segment,
    SideStatistics,
    Verification,
)

if TYPE_CHECKING:
    from denoise_relay.engine.commands import (
        ANALYSIS_FILES,
        analyse,
        denoise,
        excerpt,
        probe,
        verify,
    )
    from denoise_relay.engine.converting import COPIED_AS, convert
    from denoise_relay.engine.cores import Cores
    from denoise_relay.engine.rendering import RENDER_FORMATS, VIDEO_FORMATS, render
    from denoise_relay.engine.splitting import cut_part, join_parts, plan_parts

#: What the parent needs, by module. Loaded when it is asked for: a child, which loads this package
#: on its way, would otherwise spend half of its start on asyncio, which it does not use.
_PARENTS: Final = {
    "commands": ("ANALYSIS_FILES", "analyse", "denoise", "excerpt", "probe", "verify"),
    "converting": ("COPIED_AS", "convert"),
    "cores": ("Cores",),
    "rendering": ("RENDER_FORMATS", "VIDEO_FORMATS", "render"),
    "splitting": ("cut_part", "join_parts", "plan_parts"),
}

#: The ending of every result's file name.
OUTPUT_SUFFIX: Final = ".flac"

__all__ = [
    "ANALYSIS_FILES",
    "COPIED_AS",
    "OUTPUT_SUFFIX",
    "PRESETS",
    "RENDER_FORMATS",
    "SEGMENT_SECONDS",
    "VIDEO_FORMATS",
    "Analysis",
    "Conversion",
    "Cores",
    "EngineCrashed",
    "EngineUnavailable",
    "Excerpt",
    "MediaRejected",
    "PartsPlan",
    "Preset",
    "Probe",
    "Rendering",
    "Segment",
    "SideStatistics",
    "Verification",
    "analyse",
    "available",
    "convert",
    "cut_part",
    "denoise",
    "excerpt",
    "join_parts",
    "plan_parts",
    "probe",
    "render",
    "verify",
]


def __getattr__(name: str) -> Any:
    for module, names in _PARENTS.items():
        if name in names:
            found = getattr(importlib.import_module(f"{__name__}.{module}"), name)
            globals()[name] = found
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
