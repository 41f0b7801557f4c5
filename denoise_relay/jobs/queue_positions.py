"""Tells waiting jobs how many jobs are ahead of them in the queue.

A position is that in the order of the claims (`jobs.turns`): a job of somebody who has few goes
ahead of the many of another, so positions may grow, too. The first EXACT_POSITIONS jobs get an
event for each change, later jobs only when the position has halved or doubled, so that a long
queue costs n log n events and not n².
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

#: Positions that are always up to date.
EXACT_POSITIONS = 20
#: Queued jobs that one update reads.
UPDATE_LIMIT = 1000


def message(ahead: int) -> str:
    """The text of the event, for the person who waits."""
    if ahead == 0:
        return "Queued"
    return ngettext("Queued, %(n)d ahead", "Queued, %(n)d ahead", ahead) % {"n": ahead}


def ahead_of(alias: str, turn: int) -> int:
    """How many jobs are queued ahead of one that is about to be queued, with this turn."""
    return _waiting(alias).filter(turn__lte=turn).count()


async def announce() -> None:
    """Bring the positions up to date and publish the changes. Several processes may call this at
    the same time: each change is written once."""
    await publisher.publish(await database.call(_update_positions))


def _waiting(alias: str) -> QuerySet[Job]:
    return leases.free(alias).filter(status=Status.QUEUED)


def _update_positions() -> list[Event]:
    rows = (
        _waiting(router.db_for_write(Job))
        .order_by(*leases.CLAIM_ORDER)
        .values_list("pk", "ahead")[:UPDATE_LIMIT]
    )
    changes = {
        pk: (old, new) for new, (pk, old) in enumerate(rows) if old is None or _is_due(old, new)
    }
    return _write(changes) if changes else []


def _is_due(old: int, new: int) -> bool:
    return new != old and (new < EXACT_POSITIONS or new <= old // 2 or new >= old * 2)


def _write(changes: dict[UUID, tuple[int | None, int]]) -> list[Event]:
    """Write the positions that no other process has changed since they were read."""
    with database.write_transaction() as alias:
        rows: Sequence[tuple[UUID, int, int | None]] = list(
            _locked(alias, _waiting(alias).filter(pk__in=changes)).values_list(
                "pk", "epoch", "ahead"
            )
        )
        entries = [
            Entry(
                job=pk,
                epoch=epoch,
                fact=Fact(message=message(changes[pk][1])),
                changes={"ahead": changes[pk][1]},
            )
            for pk, epoch, old in rows
            if old == changes[pk][0]
        ]
        outcomes = append_entries(entries) if entries else []
    return [outcome.event for outcome in outcomes if outcome.event]


def _locked(alias: str, query: QuerySet[Job]) -> QuerySet[Job]:
    if connections[alias].features.has_select_for_update_skip_locked:
        # A locked job is just being claimed and waits no longer. Locks are taken in the order of
        # the journal, so that the two cannot deadlock.
        return query.select_for_update(skip_locked=True).order_by("pk")
    return query
