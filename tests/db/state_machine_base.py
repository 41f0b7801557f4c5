"""The base of the state machine: its state, the invariants, and what rules share.

Journal, leases, queue, cancel, feed, mailboxes and sockets are the real ones; time passes by
setting leases into the past.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from django.utils import timezone
from hypothesis.stateful import RuleBasedStateMachine, invariant

from denoise_relay import models
from denoise_relay.events import Event, Fact, Stage
from denoise_relay.frames import Frame
from denoise_relay.journal import leases, read
from denoise_relay.journal.append import Entry, append_entries
from denoise_relay.journal.leases import Lease
from denoise_relay.lifecycle import TERMINAL, Status
from denoise_relay.models import Job
from tests.db import state_machine_parts as parts
from tests.db.checks import check_journal
from tests.db.replicas import PRIMARY
from tests.db.state_machine_parts import Known, State, Web

T = TypeVar("T")
LEASE_SECONDS = 15.0
CONVERGENCE_SECONDS = 10.0
#: So many steps the database may go back, and a replica lag.
STATES = 12


class Model(RuleBasedStateMachine):
    """Three workers, two web processes, up to three jobs, any number of viewers."""

    #: Steps of all histories.
    steps = 0

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.jobs: list[Known] = []
        self.workers = ["w1", "w2", "w3"]
        self.started = len(self.workers)
        #: The leases that each running worker believes to hold.
        self.held: dict[str, dict[UUID, Lease]] = {worker: {} for worker in self.workers}
        #: All leases so far: their holders may write after they have lost them.
        self.leases: list[Lease] = []
        #: The events of each job, as they were read last.
        self.journal: dict[UUID, list[Event]] = {}
        #: All events that there ever were, also those that a restored database has forgotten.
        self.ever: dict[UUID, set[parts.Fact]] = defaultdict(set)
        #: The database after each of the last steps.
        self.states: deque[State] = deque(maxlen=STATES)
        self.webs = [Web(), Web()]

    def teardown(self) -> None:
        try:
            if self.jobs:
                self.converge()
        finally:
            for web in self.webs:
                self.run(web.stop())
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.close()

    # --- What is always true --------------------------------------------------------------------

    @invariant()
    def journal_is_whole(self) -> None:
        """seq without gaps, pct never falls, one terminal event, the last; one runner's writes."""
        type(self).steps += 1
        rows = self.read_journals()
        for job in self.jobs:
            row = rows[job.pk]
            assert (row.epoch, row.lease_owner, row.ended) == (job.epoch, job.holder, job.ended)
            assert (Status(row.status) in TERMINAL) is job.ended
            assert not job.stored or Path(row.original.path).exists()
        known = [replace(job) for job in self.jobs]
        self.states.append(State(rows=rows, journal=self.journal, known=known))

    @invariant()
    def viewers_see_it_in_order(self) -> None:
        for web in self.webs:
            for socket in web.sockets:
                for job, told in socket.told.items():
                    told.check(self.journal.get(job, []), self.ever[job])

    def converge(self) -> None:
        """With no more failures, and with nothing delivered, every viewer sees the end."""
        for job in self.jobs:
            self.end_lease(job)
        self.claim_for(self.workers[0], 3)
        for lease in list(self.held[self.workers[0]].values()):
            self.end(lease, well=True)
        assert all(job.ended for job in self.jobs)
        self.read_journals()
        self.run(self._until_all_have_seen_the_end())
        self.viewers_see_it_in_order()

    # --- Steps that rules and `converge` share ---------------------------------------------------

    def claim_for(self, worker: str, limit: int) -> None:
        by_turn = sorted(self.jobs, key=lambda job: job.turn)
        expected = [job for job in by_turn if job.free][:limit]
        taken = leases.claim(worker, limit, LEASE_SECONDS)
        assert taken == [Lease(job=job.pk, epoch=job.epoch + 1) for job in expected]
        for job, lease in zip(expected, taken, strict=True):
            job.epoch, job.holder, job.expired = lease.epoch, worker, False
            self.held[worker][job.pk] = lease
            self.leases.append(lease)

    def end_lease(self, job: Known) -> None:
        if job.holder:
            past = timezone.now() - timedelta(seconds=1)
            Job.objects.filter(pk=job.pk).update(lease_until=past)
            job.expired = True

    # --- Helpers --------------------------------------------------------------------------------

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(asyncio.wait_for(work, CONVERGENCE_SECONDS))

    def known(self, pk: UUID) -> Known | None:
        """None for a job that is not there any more, since the database went back."""
        return next((job for job in self.jobs if job.pk == pk), None)

    def row(self, pk: UUID) -> Job:
        return Job.objects.using(PRIMARY).get(pk=pk)

    def may_become(self, lease: Lease, status: Status) -> bool:
        """Whether a runner may set the status: only forward. (Other tests show the refusal.)"""
        if self.known(lease.job) is None:
            return False
        row = self.row(lease.job)
        order = [Status.QUEUED, Status.SUBMITTING, Status.PROCESSING]
        return row.status in order and order.index(Status(row.status)) <= order.index(status)

    def entry(self, lease: Lease, fact: Fact, **changes: Any) -> Entry:
        return Entry(job=lease.job, epoch=lease.epoch, fact=fact, changes=changes)

    def append(self, entries: Sequence[Entry]) -> None:
        expected = []
        for entry in entries:
            job = self.known(entry.job)
            expected.append(job is not None and entry.epoch == job.epoch and not job.ended)
            if job and expected[-1] and entry.fact is not None and entry.fact.stage.terminal:
                job.ended = True
        outcomes = append_entries(entries)
        assert [outcome.written for outcome in outcomes] == expected

    def end(self, lease: Lease, well: bool) -> None:
        stage, status = (Stage.DONE, Status.DONE) if well else (Stage.ERROR, Status.ERROR)
        self.append([self.entry(lease, Fact(stage=stage, message=status.value), status=status)])

    def read_journals(self) -> dict[UUID, Job]:
        """Read all journals; an event that was read once never changes."""
        rows = Job.objects.using(PRIMARY).in_bulk()
        now: dict[UUID, list[Event]] = {pk: [] for pk in rows}
        for event in models.Event.objects.using(PRIMARY).order_by("job", "seq"):
            now[event.job_id].append(read.as_event(event))
        for pk, events in now.items():
            before = self.journal.get(pk, [])
            assert events[: len(before)] == before
            check_journal(events, rows[pk])
            self.ever[pk].update(map(parts.fact_of_event, events[len(before) :]))
        self.journal = now
        return rows

    async def deliver_to(self, web: Web, frame: Frame) -> None:
        web.feed.deliver(frame)
        await asyncio.sleep(0)

    async def _until_all_have_seen_the_end(self) -> None:
        sockets = [(web, socket) for web in self.webs for socket in web.sockets]
        while any(len(socket.watcher) for _web, socket in sockets):
            for web in self.webs:
                await web.feed.check_now()
            for _web, socket in sockets:
                await socket.read()
            await asyncio.sleep(0.001)
        for _web, socket in sockets:
            for job, told in socket.told.items():
                if told.cut is None and not told.end_taken_back:
                    self._has_the_end(job, told)

    def _has_the_end(self, job: UUID, told: parts.Told) -> None:
        events, last = self.journal.get(job), told.frames[-1] if told.frames else None
        if events is None:
            assert last is not None, told
            assert last["message"] == parts.DELETED, told
        elif last is None:
            assert told.after == events[-1].seq, told
        else:
            assert parts.fact_of(last) == parts.fact_of_event(events[-1]), told
