"""Settings of a site whose backend has presets."""

from __future__ import annotations

#: `fine`, the default, and `swift`.
TWO_PRESETS = {"BACKEND": "tests.db.scripted_backends.PresetBackend", "WORKER": "external"}
