"""The last frame of a job that was deleted while somebody watched it.

Deleting cancels a job that runs, so its viewers were sent the end. But any message may be lost,
and here the journal cannot tell: its events are gone with the job.
"""

from __future__ import annotations

from uuid import UUID

from django.conf import settings
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from denoise_relay.events import Event, Stage
from denoise_relay.frames import Frame, make_frame


def gone_frame(job: UUID, seq: int) -> Frame:
    """A terminal frame with this number, which says that the recording is deleted."""
    with translation.override(settings.LANGUAGE_CODE):  # as all events: one text for all viewers
        text = _("This recording was deleted.")
    event = Event(job=job, seq=seq, stage=Stage.ERROR, pct=0.0, message=text, at=timezone.now())
    return make_frame(event)
