"""Appends events to the journal, in groups: fenced, numbered, in one transaction.

Only this module (with `rows`) writes `Event` rows and the columns of `Job` that mirror them. A
group takes a few statements, however many jobs it holds.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from denoise_relay import events, lifecycle
from denoise_relay.events import Fact, Stage
from denoise_relay.exceptions import IllegalTransition
from denoise_relay.journal import alone, rows
from denoise_relay.journal.rows import Row
from denoise_relay.lifecycle import TERMINAL, Status
from denoise_relay.pubsub import postgres
from denoise_relay.runtime.database import write_transaction


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """What to append. Without `fact` only the job's columns change and no event is made."""

    job: UUID
    #: The writer's fencing number; the entry is dropped when the job has another one.
    epoch: int
    fact: Fact | None = None
    #: Further columns of the job to set with it, `status` among them.
    changes: Mapping[str, Any] = field(default_factory=dict)
    #: When this was reported, by `time.monotonic`; the publish latency is measured from here.
    reported_at: float = field(default_factory=time.monotonic, compare=False, repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """The result of an entry: `written` is false when it was fenced or the job had ended."""

    written: bool
    event: events.Event | None = None


FENCED = Outcome(written=False)


def append_entries(entries: Sequence[Entry]) -> list[Outcome]:
    """Append entries in order and return an outcome for each, in the same order.

    All or nothing: after a database error nothing is written, so the caller may repeat the
    call. Raises `IllegalTransition` for a status that may not follow, and for a terminal event
    without a terminal status or the reverse. Sets `finished_at`, and the mark of `outbox`.
    """
    if not entries:
        return []
    if len(entries) == 1 and (fact := _progress(entries[0])) and alone.usable():
        event = alone.append_progress(entries[0].job, entries[0].epoch, fact)
        return [Outcome(written=True, event=event) if event else FENCED]
    with write_transaction() as alias:
        found, at = rows.lock(alias, {entry.job for entry in entries})
        outcomes = [_append(found.get(entry.job), entry, at) for entry in entries]
        added = [outcome.event for outcome in outcomes if outcome.event]
        rows.write(alias, found.values(), added, at)
        postgres.notify_events(alias, added)
    return outcomes


def _progress(entry: Entry) -> Fact | None:
    """The entry's fact, if there is no more to it than progress."""
    fact = entry.fact
    return fact if fact and fact.stage is Stage.PROCESSING and not entry.changes else None


def _append(row: Row | None, entry: Entry, at: datetime) -> Outcome:
    """Append to the row, before all is written."""
    if row is None or row.epoch != entry.epoch or row.status in TERMINAL:
        return FENCED
    fact = entry.fact
    if entry.changes:
        _apply_changes(row, entry.changes)
    ends = row.status in TERMINAL
    if ends != (fact is not None and fact.stage is not Stage.PROCESSING):
        # Either the job would end without an event, or viewers would see an end that is none.
        raise IllegalTransition(f"{row.status} cannot come with {fact}")
    if ends:
        row.changes |= {"finished_at": at, "signal_pending": True}
    if fact is not None:
        row.newest = _number(row, fact, at)
        return Outcome(written=True, event=row.newest)
    return Outcome(written=True)


def _apply_changes(row: Row, changes: Mapping[str, Any]) -> None:
    if "status" in changes:
        row.status = lifecycle.advance(Status(row.status), Status(changes["status"]))
    row.epoch = changes.get("epoch", row.epoch)
    row.changes |= changes


def _number(row: Row, fact: Fact, at: datetime) -> events.Event:
    """Give the fact the job's next number."""
    row.seq += 1
    if fact.stage is Stage.DONE:
        row.pct = 100.0
    elif fact.stage is Stage.PROCESSING:
        # A restarted engine or another upstream connection may begin at zero again; the
        # percentage that people see never falls.
        row.pct = max(row.pct, events.clean_pct(fact.pct))
    return events.Event(
        job=row.job,
        seq=row.seq,
        stage=fact.stage,
        pct=row.pct,
        message=events.clean_text(fact.message),
        at=at,
        url=fact.url,
        warning=events.clean_text(fact.warning),
    )
