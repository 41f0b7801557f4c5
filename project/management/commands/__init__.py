"""Commands of the demo site."""

from __future__ import annotations
