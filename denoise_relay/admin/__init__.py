"""The admin: jobs with their timelines, and API keys. Events are shown with their job only."""

from __future__ import annotations

from denoise_relay.admin import api_keys, jobs

__all__ = ["api_keys", "jobs"]
