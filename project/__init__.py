"""The demo site: one way to set `denoise_relay` up; imports it, never the reverse."""

from __future__ import annotations
