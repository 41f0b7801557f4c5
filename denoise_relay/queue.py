"""The queue's places: tells waiting jobs how many are ahead of them.

A place is written when it changes within the first FRONT, and further back when it has
halved, so that a long queue costs n log n events, not n².
"""

from __future__ import annotations

from django.utils.translation import ngettext

from denoise_relay import broadcast, db, journal
from denoise_relay.events import Event, Fact
from denoise_relay.journal import Entry
from denoise_relay.lifecycle import Status
from denoise_relay.models import Job

FRONT = 20
"""Places that are kept exact."""
LOOK = 1000
"""Queued jobs looked at in one sweep."""


def message(ahead: int) -> str:
    """What a person who waits reads."""
    if ahead == 0:
        return "Queued"
    return ngettext("Queued, %(n)d ahead", "Queued, %(n)d ahead", ahead) % {"n": ahead}


def waiting() -> int:
    """How many jobs are queued."""
    return Job.objects.filter(status=Status.QUEUED, lease_until=None).count()


async def announce() -> None:
    """Bring the places up to date; several processes may do so at once, fenced by the epoch."""
    await broadcast.publish(await db.call(_update_places))


def _update_places() -> list[Event]:
    rows = (
        Job.objects.filter(status=Status.QUEUED, lease_until=None)
        .order_by("created_at", "id")
        .values_list("pk", "epoch", "ahead")[:LOOK]
    )
    entries = [
        Entry(
            job=pk,
            epoch=epoch,
            fact=Fact(message=message(place)),
            changes={"ahead": place},
        )
        for place, (pk, epoch, told) in enumerate(rows)
        if told is None or (place != told and (place < FRONT or place <= told // 2))
    ]
    if not entries:
        return []
    return [outcome.event for outcome in journal.append(entries) if outcome.event]
