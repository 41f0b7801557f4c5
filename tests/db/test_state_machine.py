"""The guarantees as a model: any order of claims, writes, losses, crashes and viewers.

Hypothesis builds histories from the rules below; none may break an invariant. The rules are
here and in `state_machine_faults`, the invariants and helpers in `state_machine_base`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule, run_state_machine_as_test
from pytest_django import Settings

from denoise_relay.events import Fact
from denoise_relay.frames import parse_frame
from denoise_relay.jobs import actions as people
from denoise_relay.jobs import queue_positions
from denoise_relay.journal import leases
from denoise_relay.lifecycle import Status
from denoise_relay.models import Job
from denoise_relay.pubsub.publisher import frame_of
from tests.db import state_machine_faults
from tests.db.factories import make_job
from tests.db.replicas import Replicated
from tests.db.state_machine_base import LEASE_SECONDS
from tests.db.state_machine_faults import Faults, pick
from tests.db.state_machine_parts import Known, Web

EXAMPLES, STEPS = 60, 40
STEPS_IN_TOTAL = 2000

percents = st.floats(min_value=-5, max_value=105, allow_nan=False)
statuses = st.sampled_from([None, None, Status.SUBMITTING, Status.PROCESSING])


class Relay(Faults):
    """The rules, each of which is one step of a history."""

    @initialize()
    def begin(self) -> None:
        Job.objects.all().delete()
        self.submit()
        for web in self.webs:
            self.run(web.start())

    # --- People -------------------------------------------------------------------------------

    @precondition(lambda self: len(self.jobs) < 3)
    @rule()
    def submit(self) -> None:
        self.jobs.append(Known(pk=make_job().pk))

    @rule(which=pick, back=pick)
    def cancel(self, which: int, back: int) -> None:
        """Pressed on a page that may show an older state."""
        job = self.jobs[which % len(self.jobs)]
        assert people.cancel(self.lagging(job.pk, back)) is not job.ended
        if not job.ended:
            job.ended, job.holder, job.epoch = True, "", job.epoch + 1

    # --- Workers ------------------------------------------------------------------------------

    @rule(which=pick, limit=st.integers(min_value=1, max_value=3))
    def claim(self, which: int, limit: int) -> None:
        self.claim_for(self.workers[which % len(self.workers)], limit)

    @rule(which=pick)
    def renew(self, which: int) -> None:
        worker = self.workers[which % len(self.workers)]
        believed = set(self.held[worker])
        still = leases.renew(worker, believed, LEASE_SECONDS)
        mine = [job for job in self.jobs if job.holder == worker and job.pk in believed]
        assert still == {job.pk for job in mine}
        for job in mine:
            job.expired = False
        self.held[worker] = {pk: self.held[worker][pk] for pk in still}

    @rule(which=pick)
    def expire(self, which: int) -> None:
        """The holder did not renew its lease in time."""
        self.end_lease(self.jobs[which % len(self.jobs)])

    @rule(which=pick)
    def hand_back(self, which: int) -> None:
        worker = self.workers[which % len(self.workers)]
        mine = [job for job in self.jobs if job.holder == worker and not job.ended]
        assert leases.release(worker) == len(mine)
        for job in mine:
            job.holder, job.expired = "", False
        self.held[worker].clear()

    @rule(which=pick)
    def crash(self, which: int) -> None:
        """kill -9, and a new process in its place. The leases stay until they expire."""
        del self.held[self.workers.pop(which % len(self.workers))]
        self.started += 1
        self.workers.append(f"w{self.started}")
        self.held[self.workers[-1]] = {}

    # --- Runners ------------------------------------------------------------------------------

    @precondition(lambda self: self.leases)
    @rule(which=pick, pct=percents, status=statuses)
    def write(self, which: int, pct: float, status: Status | None) -> None:
        """A runner reports, maybe one that has lost its lease long ago."""
        lease = self.leases[-1 - which % len(self.leases)]
        changes = {"status": status} if status and self.may_become(lease, status) else {}
        self.append([self.entry(lease, Fact(pct=pct, message=f"{pct:.0f}"), **changes)])

    @precondition(lambda self: self.leases)
    @rule(which=st.lists(pick, min_size=2, max_size=5), pct=percents)
    def write_together(self, which: list[int], pct: float) -> None:
        """One group commit for several runners, with and without a lease, some of them twice."""
        chosen = [self.leases[-1 - number % len(self.leases)] for number in which]
        self.append(
            [self.entry(lease, Fact(pct=pct + n, message=str(n))) for n, lease in enumerate(chosen)]
        )

    @precondition(lambda self: self.leases)
    @rule(which=pick, well=st.booleans())
    def finish(self, which: int, well: bool) -> None:
        self.end(self.leases[-1 - which % len(self.leases)], well)

    @rule()
    def update_positions(self) -> None:
        queue_positions._update_positions()

    # --- Publication: each message may be lost, doubled, late, out of order --------------------

    @rule(where=pick, which=pick, back=pick)
    def deliver(self, where: int, which: int, back: int) -> None:
        """Any committed event, to any web process, at any time. What is never chosen is lost."""
        events = self.journal.get(self.jobs[which % len(self.jobs)].pk) or []
        if events:
            frame = frame_of(events[-1 - back % len(events)])
            copy = parse_frame(frame.text)  # as it comes through a layer
            self.run(self.deliver_to(self.webs[where % 2], copy))

    @rule(where=pick)
    def check_positions(self, where: int) -> None:
        self.run(self.webs[where % 2].feed.check_now())

    # --- Viewers ------------------------------------------------------------------------------

    @rule(
        where=pick, which=pick, key=pick, after=st.sampled_from([None, 0, "some", "all", "beyond"])
    )
    def connect(self, where: int, which: int, key: int, after: Any) -> None:
        socket = self.socket(where, key)
        row = self.visible(self.jobs[which % len(self.jobs)].pk, socket)
        if row is not None:
            numbers = {"some": row.seq // 2, "all": row.seq, "beyond": row.seq + 5}
            self.run(socket.watch(row, numbers.get(after, after)))

    @precondition(lambda self: self.leases)
    @rule(where=pick, which=pick, key=pick, pct=percents, end=st.booleans())
    def connect_meanwhile(self, where: int, which: int, key: int, pct: float, end: bool) -> None:
        """An event is committed between the read of the job's row and the first frame, and is
        published while the journal is being read."""
        lease, socket = self.leases[-1 - which % len(self.leases)], self.socket(where, key)
        if self.known(lease.job) is None or (row := self.visible(lease.job, socket)) is None:
            return
        before = row.seq
        if end:
            self.end(lease, well=True)
        else:
            self.append([self.entry(lease, Fact(pct=pct))])
        self.read_journals()
        news = [frame_of(event) for event in self.journal[row.pk][before:]]

        async def both() -> None:
            watching = asyncio.create_task(socket.watch(row, None), name="model-watch")
            await asyncio.sleep(0)
            for frame in news:
                self.webs[where % 2].feed.deliver(frame)
                await socket.read()
            await watching

        self.run(both())

    @rule(where=pick, which=pick)
    def read(self, where: int, which: int) -> None:
        sockets = self.webs[where % 2].sockets
        if sockets:
            self.run(sockets[which % len(sockets)].read())

    @rule(where=pick, which=pick)
    def disconnect(self, where: int, which: int) -> None:
        sockets = self.webs[where % 2].sockets
        if sockets:
            self.run(sockets.pop(which % len(sockets)).leave())

    @rule(where=pick)
    def restart_web(self, where: int) -> None:
        self.run(self.webs[where % 2].stop())
        self.webs[where % 2] = Web()
        self.run(self.webs[where % 2].start())


@pytest.fixture
def _histories(settings: Settings) -> Iterator[None]:
    settings.DATABASE_ROUTERS = [f"{Replicated.__module__}.Replicated"]
    settings.DENOISE_RELAY = settings.DENOISE_RELAY | {
        "ACCESS_POLICY": f"{state_machine_faults.__name__}.policy"
    }
    connection_created.connect(_never_wait_for_the_disk)
    connection.close()
    yield
    connection_created.disconnect(_never_wait_for_the_disk)


def _never_wait_for_the_disk(connection: BaseDatabaseWrapper, **_: Any) -> None:
    """The model has no crash of the database server, and waiting for the disk would take most of
    the time."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET synchronous_commit = off")


@pytest.mark.timeout(300)
@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("media", "_histories")
def test_no_history_breaks_an_invariant() -> None:
    Relay.steps = 0
    for _ in range(3):  # histories that Hypothesis gives up early do not count
        run_state_machine_as_test(
            Relay,
            settings=settings(
                max_examples=EXAMPLES,
                stateful_step_count=STEPS,
                deadline=None,
                # Shrinking takes minutes, and a time-out would hide what was found: a history
                # that fails is printed as it is. Add Phase.shrink to work on one.
                phases=[Phase.reuse, Phase.generate],
                print_blob=True,
                suppress_health_check=list(HealthCheck),
            ),
        )
        if Relay.steps >= STEPS_IN_TOTAL:
            break
    assert Relay.steps >= STEPS_IN_TOTAL
