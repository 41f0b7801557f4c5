"""The admin: jobs with their timelines, comparisons, API keys. Events are shown with their job."""

from __future__ import annotations

from denoise_relay.admin import api_keys, comparisons, jobs

__all__ = ["api_keys", "comparisons", "jobs"]
