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
from denoise_relay.backends.upstream.messages import HistoryRecord
from denoise_relay.backends.upstream.multipart import MultipartBody, open_source
from denoise_relay.exceptions import JobFailed, ProtocolError

#: For larger files, a wrong key is found by a cheap request first. During an upload an early
#: 401 is mostly lost: the client sees a reset while it still writes.
CHECK_KEY_FROM_BYTES = 1024 * 1024
#: How many submissions of one job may have unknown outcomes, of all its runners together: each
#: may have been billed.
MAX_UNCLEAR = 5


class Submission:
    """Submits one job."""

    def __init__(self, context: RunContext, *, resubmit: bool) -> None:
        self._context = context
        self._run = context.run
        self._resubmit = resubmit

    async def submit(self) -> str:
        """Return the upstream's id of the job, committed.

        Attempts in the assignment were begun by earlier runners, which did not learn their
        outcomes. Their connections have ended with these runners.
        """
        attempt = self._run.assignment.attempt
        upstream_id = await self._reconcile(attempt) if attempt else None
        backoff = self._context.backoff()
        while upstream_id is None:
            if attempt:
                # To post twice with the key that the upstream honours makes one job.
                bounded = not self._context.client.idempotent
                if bounded and (not self._resubmit or attempt >= MAX_UNCLEAR):
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
            if assignment.size_bytes >= CHECK_KEY_FROM_BYTES:
                await self._check_key()
            attempt = await self._run.submitting()
            return await self._send(source, attempt), attempt

    async def _check_key(self) -> None:
        try:
            await self._context.client.check_key()
        except Refused as exc:
            if exc.status in (401, 402):
                raise_if_final(exc)
        except (NotSent, OutcomeUnknown, ProtocolError):
            pass  # the upload will show it

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
                    return await self._unclear(attempt, exc)
                fault, wait = exc, exc.wait
            except (OutcomeUnknown, ProtocolError) as exc:
                return await self._unclear(attempt, exc)
            # Committed before the wait, in which this process may be stopped: the next runner
            # would take the attempt for one of unknown outcome.
            await self._run.not_taken()
            self._context.log("submission_deferred", fault)
            self._context.show(_("Waiting for the audio service"))
            await asyncio.sleep(backoff.next_delay(at_least=wait))
            attempt = await self._run.submitting()

    async def _upload(self, source: BinaryIO, attempt: int) -> str:
        def uploading(percent: int) -> None:
            self._context.show(_("Uploading %(percent)d%%") % {"percent": percent})

        assignment = self._run.assignment
        try:
            await asyncio.to_thread(source.seek, 0)
            upload = MultipartBody(
                source, file_name=file_name(assignment, attempt), on_percent=uploading
            )
            return await self._context.client.submit(
                upload, assignment.size_bytes, key=str(assignment.job)
            )
        except OSError as exc:
            raise JobFailed(_("The recording cannot be read."), detail=repr(exc)) from exc

    async def _unclear(self, attempt: int, fault: Exception) -> str | None:
        self._context.log("submission_unclear", fault, attempt=attempt)
        return await self._reconcile(attempt)

    async def _reconcile(self, attempt: int) -> str | None:
        """Search for an upload of unknown outcome; None when it never arrived.

        An absence proves nothing while the upstream may still be processing the upload: only a
        complete search counts, and only one that begins `grace` from now.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._context.policy.grace
        backoff = self._context.backoff()
        # Every attempt, not only the last: an earlier one may appear late.
        stems = {f"{self._run.assignment.job}-{number}" for number in range(1, attempt + 1)}

        def ours(record: HistoryRecord) -> bool:
            return (record.file_name or "").rpartition(".")[0] in stems

        self._context.show(_("Confirming the upload"))
        while True:
            late = loop.time() >= deadline
            result, wait = await self._context.find(ours)
            if result is not None and result.found:
                best = result.found[0]
                self._context.log("submission_found", found=len(result.found))
                return best.id
            if result is not None and self._context.client.idempotent:
                return None  # no need to be sure: the same key finds what shows up later
            if late and result is not None and result.complete:
                return None
            delay = backoff.next_delay(at_least=wait)
            # The last search is made at the end of the grace, not a back-off later.
            remaining = deadline - loop.time()
            await asyncio.sleep(min(delay, remaining) if remaining > 0 and not wait else delay)


def file_name(assignment: Assignment, attempt: int) -> str:
    """The name by which an upload is found again: ASCII, and not the person's own."""
    extension = re.sub(r"[^a-z0-9]", "", assignment.extension.lower())[:8]
    return f"{assignment.job}-{attempt}.{extension or 'bin'}"


def _surely_not_taken(refused: Refused) -> bool:
    """Whether a refusal says that no job was made. A 500, 502, 504 or bare 503 does not, whatever
    its body says: the server, or the one behind it, may have taken the file and then failed."""
    return refused.status in LATER or (refused.status == 503 and refused.wait > 0)
