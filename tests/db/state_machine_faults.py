"""Histories of the state machine that only a fault outside the app, or its site, brings about: lost
answers, a database that goes back in time, replicas that lag, rights that end."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from unittest import mock
from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.core.files.base import ContentFile
from django.db import OperationalError, connection, transaction
from django.http import Http404
from django.utils import timezone
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from denoise_relay import access
from denoise_relay.access import Viewer
from denoise_relay.events import Fact
from denoise_relay.jobs import actions, enqueue
from denoise_relay.jobs.validation import ValidatedFile
from denoise_relay.live.recheck import recheck
from denoise_relay.live.rights import refreshed
from denoise_relay.media.storage import media_storage
from denoise_relay.models import ApiKey, Event, Job
from denoise_relay.pubsub.publisher import frame_of
from denoise_relay.runtime import database
from tests.db.lost_answers import lost_answers
from tests.db.replicas import PRIMARY
from tests.db.state_machine_base import Model
from tests.db.state_machine_parts import OUTDATED, Known, Socket, State, row_of_event

pick = st.integers(min_value=0, max_value=11)
#: What the policy says no to: keys (by their number) and jobs.
forbidden: set[tuple[int, UUID]] = set()


def policy(viewer: Viewer, job: Job, action: str) -> bool:
    """Every API key may see every job, until somebody takes that back."""
    key = viewer.api_key
    return key is not None and (key.pk, job.pk) not in forbidden


class Faults(Model):
    """The rules; `Relay` has those of a world without faults."""

    def __init__(self) -> None:
        super().__init__()
        forbidden.clear()
        ApiKey.objects.all().delete()
        self.keys = [ApiKey.objects.create(name=name, digest=name) for name in ("one", "two")]
        self.revoked: set[int] = set()

    # --- Answers that are lost ------------------------------------------------------------------

    @precondition(lambda self: len(self.jobs) < 3)
    @rule(committed=st.lists(st.booleans(), min_size=1, max_size=3))
    def submit_unanswered(self, committed: list[bool]) -> None:
        """Whatever becomes of the commit: no row without its recording, no job twice."""
        job, before = Job(api_key=self.keys[0]), set(self.journal)
        validated = ValidatedFile(
            name="voice.wav", size_bytes=5, duration_seconds=None, is_video=False
        )
        answered = False
        with (
            mock.patch.object(enqueue, "RETRIES", (0.0, 0.0)),
            lost_answers(committed),
            contextlib.suppress(OperationalError),
        ):
            answered = actions._store(job, ContentFile(b"voice"), validated).pk == job.pk
        made = Job.objects.using(PRIMARY).filter(pk=job.pk).first()
        assert made is not None or not answered
        # A server's error is no proof that there is no row, so the file stays for `prune_orphans`.
        kept = made is not None or connection.vendor != "sqlite"
        assert media_storage().exists(job.original.name or "") is kept
        assert set(Job.objects.using(PRIMARY).values_list("pk", flat=True)) - before <= {job.pk}
        if made is not None:
            self.jobs.append(Known(pk=job.pk, turn=made.turn, stored=True))

    # --- A database that goes back --------------------------------------------------------------

    @rule(back=pick, where=pick, which=pick, key=pick, end=st.booleans())
    def go_back(self, back: int, where: int, which: int, key: int, end: bool) -> None:
        """A viewer is shown progress, or an end that they have not read yet. Then an earlier state
        is restored, as by a fail-over to a replica that lagged. Workers, feeds and viewers stay
        as they are, and another viewer comes."""
        self._connect(where, which, key)
        self.claim_for(self.workers[0], 3)
        leases = self.held[self.workers[0]].values()
        self.append([self.entry(lease, Fact(pct=50)) for lease in leases for _ in range(2)])
        for lease in leases if end else ():
            self.end(lease, well=True)
        self.read_journals()
        self.run(self._deliver_all(where))
        self._restore(self.states[-1 - back % len(self.states)])
        self._connect(where, which, key)

    def _connect(self, where: int, which: int, key: int) -> None:
        socket = self.socket(where, key)
        row = self.visible(self.jobs[which % len(self.jobs)].pk, socket)
        if row is not None:
            self.run(socket.watch(row, None))

    async def _deliver_all(self, where: int) -> None:
        for events in self.journal.values():
            for event in events:
                self.webs[where % 2].feed.deliver(frame_of(event))

    def _restore(self, state: State) -> None:
        while self.states[-1] is not state:
            self.states.pop()
        rows = sorted(state.rows.values(), key=lambda row: row.created_at)
        with transaction.atomic():
            Job.objects.all().delete()
            Job.objects.using(PRIMARY).bulk_create(rows)
            Event.objects.using(PRIMARY).bulk_create(
                row_of_event(event) for events in state.journal.values() for event in events
            )
        self.jobs = [replace(job) for job in state.known]
        self.journal = state.journal
        watched = [each for web in self.webs for each in web.feed._jobs.values()]
        OUTDATED.update(each.tail for each in watched if each.tail is not None)
        for socket in (socket for web in self.webs for socket in web.sockets):
            for job, told in socket.told.items():
                told.gone_back = True
                ended = any(frame.terminal for frame in socket.waiting(job))
                told.end_taken_back |= ended or job not in socket.watcher

    # --- Rights that end ------------------------------------------------------------------------

    @rule(which=pick, key=pick, all_jobs=st.booleans())
    def revoke(self, which: int, key: int, all_jobs: bool) -> None:
        """A key is revoked, or the site's policy says no to it for one job."""
        self._revoke(self.jobs[which % len(self.jobs)].pk, self.keys[key % 4 == 0], all_jobs)

    @rule()
    def restore_rights(self) -> None:
        """Who has lost a job meanwhile has to ask for it again."""
        forbidden.clear()
        self.revoked.clear()
        ApiKey.objects.update(revoked_at=None)

    @rule()
    def check_rights(self) -> None:
        self.run(self._check_rights())

    @rule(where=pick, key=pick, after=st.sampled_from([None, 0, 2]))
    def ask(self, where: int, key: int, after: int | None) -> None:
        """A client asks for all jobs on one socket, maybe with a right that has just ended."""
        socket = self.socket(where, key)
        jobs = [job.pk for job in self.jobs]
        self.run(socket.on_message({"watch": {str(job): after for job in jobs}}))
        assert socket.refused == {job for job in jobs if not self._may(socket, job)}

    @rule(where=pick, which=pick, key=pick, all_jobs=st.booleans())
    def connect_and_lose(self, where: int, which: int, key: int, all_jobs: bool) -> None:
        """The right ends, and that is found out, while the journal is read for the viewer."""
        job, socket = self.jobs[which % len(self.jobs)].pk, self.socket(where, key)
        row = self.visible(job, socket)
        if row is None:
            return

        async def both() -> None:
            watching = asyncio.create_task(socket.watch(row, 0), name="model-watch")
            await asyncio.sleep(0)
            await database.call(self._revoke, job, self.keys[key % 2], all_jobs)
            await self._check_rights()
            await watching

        self.run(both())

    # --- What rules share -----------------------------------------------------------------------

    def socket(self, where: int, key: int) -> Socket:
        web = self.webs[where % 2]
        viewer = Viewer(user=AnonymousUser(), api_key=self.keys[key % 2])
        web.sockets.append(Socket(web.feed, viewer))
        return web.sockets[-1]

    def visible(self, job: UUID, socket: Socket) -> Job | None:
        """The job as the socket of one job finds it; None when it is closed instead."""
        viewer = refreshed(socket.viewer)
        assert viewer is not None
        try:
            row = access.get_job(viewer, job)
        except Http404:
            assert not self._may(socket, job)
            return None
        assert self._may(socket, job)
        return row

    def lagging(self, pk: UUID, back: int) -> Job:
        """The job as a replica shows it that lags by some steps."""
        known = [state.rows[pk] for state in self.states if pk in state.rows]
        return known[-1 - back % len(known)] if known else self.row(pk)

    def _may(self, socket: Socket, job: UUID) -> bool:
        key = socket.viewer.api_key
        assert key is not None
        return key.pk not in self.revoked and (key.pk, job) not in forbidden

    def _revoke(self, job: UUID, key: ApiKey, all_jobs: bool) -> None:
        if all_jobs:
            self.revoked.add(key.pk)
            ApiKey.objects.filter(pk=key.pk).update(revoked_at=timezone.now())
        else:
            forbidden.add((key.pk, job))

    async def _check_rights(self) -> None:
        """From then on, nobody gets what they may not see."""
        await recheck().check_now()
        for socket in (socket for web in self.webs for socket in web.sockets):
            for job, told in socket.told.items():
                if not self._may(socket, job) and job in self.journal and told.cut is None:
                    told.cut = len(told.frames)
