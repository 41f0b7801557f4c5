"""The tables. Only `journal` and `jobs` write jobs and events, only `comparison` its own.

Migrations name `media_name` and `media_storage` here.
"""

from __future__ import annotations

from denoise_relay.models.analysis import DerivedFile, Segment, Waveform
from denoise_relay.models.api_keys import ApiKey
from denoise_relay.models.choices import StatusChoices
from denoise_relay.models.comparisons import Answer, Comparison, ComparisonItem, Method, Vote
from denoise_relay.models.events import Event
from denoise_relay.models.jobs import (
    Job,
    current_jobs,
    media_name,
    media_storage,
)
from denoise_relay.models.parts import Part
from denoise_relay.models.schedule import ScheduledTask

__all__ = [
    "Answer",
    "ApiKey",
    "Comparison",
    "ComparisonItem",
    "DerivedFile",
    "Event",
    "Job",
    "Method",
    "Part",
    "ScheduledTask",
    "Segment",
    "StatusChoices",
    "Vote",
    "Waveform",
    "current_jobs",
    "media_name",
    "media_storage",
]
