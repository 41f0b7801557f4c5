"""Hand a file to the upstream exactly once, as far as a POST without a key can.

Before the first byte the intent is committed; the file carries the job's name; after
anything unclear the upstream's history decides, and silence there counts only after a grace.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import BinaryIO

from django.utils.translation import gettext as _

from denoise_relay.backends.base import Assignment
from denoise_relay.backends.upstream.context import RunContext
from denoise_relay.backends.upstream.errors import (
    LATER,
    NotSent,
    OutcomeUnknown,
    Refused,
    raise_if_final,
)
from denoise_relay.backends.upstream.messages import Record
from denoise_relay.backends.upstream.multipart import Upload, open_source
from denoise_relay.exceptions import JobFailed, ProtocolError

#: From here on, a wrong key is found out by a cheap request rather than by the upload, where
#: an early 401 is mostly lost: the client sees a reset while it still writes.
PROBE_FROM_BYTES = 1024 * 1024
#: Submissions that vanish without any answer, at most: each may have been billed.
MAX_LOSSES = 5


class Submission:
    """Gets one job taken by the upstream."""

    def __init__(self, context: RunContext, *, resubmit: bool) -> None:
        self._context = context
        self._run = context.run
        self._resubmit = resubmit
        self._losses = 0

    async def submit(self) -> str:
        """Return the upstream's id of the job, committed.

        An attempt in the assignment was begun by a runner before us, which told no more.
        Its connection died with it, at the latest now.
        """
        attempt = self._run.assignment.attempt
        upstream_id = await self._reconcile(attempt) if attempt else None
        backoff = self._context.backoff()
        self._losses = min(attempt, 1)
        while upstream_id is None:
            if attempt:
                if not self._resubmit or self._losses >= MAX_LOSSES:
                    raise JobFailed(
                        _("The upload was interrupted. Please try again."),
                        detail=f"submission {self._run.assignment.job}-{attempt} was lost: it is "
                        "not in the upstream's history",
                    )
                await asyncio.sleep(backoff.next_delay())
            upstream_id, attempt = await self._post()
        await self._run.accepted(upstream_id)
        return upstream_id

    async def _post(self) -> tuple[str | None, int]:
        """Submit as a new attempt; the id is None when it was lost for good."""
        assignment = self._run.assignment
        try:
            source = open_source(assignment.source)
        except OSError as exc:
            raise JobFailed(_("The recording is no longer here."), detail=repr(exc)) from exc
        with contextlib.closing(source):
            if assignment.size_bytes >= PROBE_FROM_BYTES:
                await self._probe()
            attempt = await self._run.submitting()
            return await self._send(source, attempt), attempt

    async def _probe(self) -> None:
        try:
            await self._context.client.probe()
        except Refused as exc:
            if exc.status in (401, 402):
                raise_if_final(exc)
        except (NotSent, OutcomeUnknown, ProtocolError):
            pass  # the upload will tell

    async def _send(self, source: BinaryIO, attempt: int) -> str | None:
        """Send until the file is taken, refused or lost."""
        backoff = self._context.backoff()
        while True:
            wait = 0.0
            try:
                return await self._upload(source, attempt)
            except NotSent as exc:
                fault: Exception = exc
            except Refused as exc:
                raise_if_final(exc)
                if not _surely_not_taken(exc):
                    # An answer of sorts: with nothing in the history it is no loss.
                    return await self._unclear(attempt, exc)
                fault, wait = exc, exc.wait
            except (OutcomeUnknown, ProtocolError) as exc:
                self._losses += 1
                return await self._unclear(attempt, exc)
            # Not taken, for sure: the same attempt may go again under the same name.
            self._context.note("submission_deferred", fault)
            self._context.say(_("Waiting for the audio service"))
            await asyncio.sleep(backoff.next_delay(at_least=wait))

    async def _upload(self, source: BinaryIO, attempt: int) -> str:
        def uploading(percent: int) -> None:
            self._context.say(_("Uploading %(percent)d%%") % {"percent": percent})

        assignment = self._run.assignment
        try:
            await asyncio.to_thread(source.seek, 0)
            upload = Upload(source, file_name=file_name(assignment, attempt), on_percent=uploading)
            return await self._context.client.submit(upload, assignment.size_bytes)
        except OSError as exc:
            raise JobFailed(_("The recording cannot be read."), detail=repr(exc)) from exc

    async def _unclear(self, attempt: int, fault: Exception) -> str | None:
        self._context.note("submission_unclear", fault, attempt=attempt)
        return await self._reconcile(attempt)

    async def _reconcile(self, attempt: int) -> str | None:
        """Look for an upload of unknown outcome; None when it never arrived.

        Nothing found proves nothing while the upload may still be on its way through the
        upstream: the search that counts begins `grace` after now, and must be complete.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._context.policy.grace
        backoff = self._context.backoff()
        # Every attempt, not only the last: an earlier one may have surfaced late.
        stems = {f"{self._run.assignment.job}-{number}" for number in range(1, attempt + 1)}

        def ours(record: Record) -> bool:
            return (record.file_name or "").rpartition(".")[0] in stems

        self._context.say(_("Confirming the upload"))
        while True:
            late = loop.time() >= deadline
            result, wait = await self._context.find(ours)
            if result is not None and result.found:
                best = result.found[0]
                self._context.note("submission_found", found=len(result.found))
                return best.id
            if late and result is not None and result.complete:
                return None
            delay = backoff.next_delay(at_least=wait)
            # The last search comes right at the end of the grace, not a back-off later.
            remaining = deadline - loop.time()
            await asyncio.sleep(min(delay, remaining) if remaining > 0 and not wait else delay)


def file_name(assignment: Assignment, attempt: int) -> str:
    """What an upload is called upstream: found again by it, ASCII, and nobody's own name."""
    extension = re.sub(r"[^a-z0-9]", "", assignment.extension.lower())[:8]
    return f"{assignment.job}-{attempt}.{extension or 'bin'}"


def _surely_not_taken(refused: Refused) -> bool:
    """Whether a refusal says that no job was made. A gateway's own 500, 502, 503 or 504 does
    not: the server behind it may have taken the file."""
    return (
        refused.status in LATER or refused.explained or (refused.status == 503 and refused.wait > 0)
    )
