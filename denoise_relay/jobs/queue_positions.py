"""The queue's places: tells waiting jobs how many are ahead of them.

A place is written when it changes within the first FRONT, and further back when it has
halved, so that a long queue costs n log n events, not n².
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.db import connections, router
from django.db.models import QuerySet
from django.utils.translation import ngettext

from denoise_relay.events import Event, Fact
from denoise_relay.journal import leases
from denoise_relay.journal.append import Entry, append_entries
from denoise_relay.lifecycle import Status
from denoise_relay.models import Job
from denoise_relay.pubsub import publisher
from denoise_relay.runtime import database

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
    return _waiting(router.db_for_write(Job)).count()


async def announce() -> None:
    """Bring the places up to date. Several processes may do so at once: one of them tells."""
    await publisher.publish(await database.call(_update_places))


def _waiting(alias: str) -> QuerySet[Job]:
    return leases.free(alias).filter(status=Status.QUEUED)


def _update_places() -> list[Event]:
    rows = (
        _waiting(router.db_for_write(Job))
        .order_by("created_at", "id")
        .values_list("pk", "ahead")[:LOOK]
    )
    news = {
        pk: (told, place)
        for place, (pk, told) in enumerate(rows)
        if told is None or (place != told and (place < FRONT or place <= told // 2))
    }
    return _tell(news) if news else []


def _tell(news: dict[UUID, tuple[int | None, int]]) -> list[Event]:
    """Write places that nobody else has written since they were read."""
    with database.write_transaction() as alias:
        rows: Sequence[tuple[UUID, int, int | None]] = list(
            _locked(alias, _waiting(alias).filter(pk__in=news)).values_list("pk", "epoch", "ahead")
        )
        entries = [
            Entry(
                job=pk,
                epoch=epoch,
                fact=Fact(message=message(news[pk][1])),
                changes={"ahead": news[pk][1]},
            )
            for pk, epoch, told in rows
            if told == news[pk][0]
        ]
        outcomes = append_entries(entries) if entries else []
    return [outcome.event for outcome in outcomes if outcome.event]


def _locked(alias: str, query: QuerySet[Job]) -> QuerySet[Job]:
    if connections[alias].features.has_select_for_update_skip_locked:
        # A job that is being claimed just now waits no longer. In the journal's order.
        return query.select_for_update(skip_locked=True).order_by("pk")
    return query
