"""How long a job may still take, counted from its first runner."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Final

from denoise_relay.conf import RelaySettings
from denoise_relay.models import Job

#: What a submitted job gets that is older than its deadline, because no worker ran meanwhile: its
#: result may be waiting, and may have been paid for.
LAST_LOOK_SECONDS: Final = 60.0


class Deadline:
    """A time on the clock of the running event loop."""

    def __init__(self, job: Job, now: datetime, settings: RelaySettings) -> None:
        """`now` is the time of the clock that has set `job.started_at` (`leases.leased_job`)."""
        elapsed = (now - (job.started_at or now)).total_seconds()
        left = settings.JOB_DEADLINE_SECONDS - elapsed
        if job.upstream_id:
            left = max(left, LAST_LOOK_SECONDS)
        elif job.attempt:
            left = max(left, LAST_LOOK_SECONDS + settings.SUBMISSION_GRACE_SECONDS)
        self.at = asyncio.get_running_loop().time() + left

    @property
    def seconds_left(self) -> float:
        """Never zero or less."""
        return max(self.at - asyncio.get_running_loop().time(), 0.01)
