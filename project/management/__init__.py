"""Django finds the demo command here; the demo is this site, so it is not in the wheel."""

from __future__ import annotations
