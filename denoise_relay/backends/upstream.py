"""The `upstream` backend: any server that speaks the contract does the job.

Here are the decisions: what to retry, what to believe, when to give up. The requests are
in `upstream_client`, the words in `upstream_events`, the result's way home in `download`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import httpx
from django.core.checks import CheckMessage
from django.utils.translation import gettext as _

from denoise_relay import log
from denoise_relay.backends.address_guard import BadUrl
from denoise_relay.backends.base import Assignment, Backend, Result, Run
from denoise_relay.backends.download import DownloadFailed, Downloads
from denoise_relay.backends.exchange import Broken, Exchanges, NotSent
from denoise_relay.backends.upload import Upload, open_source
from denoise_relay.backends.upstream_checks import check_upstream
from denoise_relay.backends.upstream_client import Refused, UpstreamClient
from denoise_relay.backends.upstream_events import Done, Failed, Processing, Record, text, url_text
from denoise_relay.backends.upstream_history import search
from denoise_relay.backends.upstream_stream import Cut, Listener, Quiet
from denoise_relay.conf import RelaySettings
from denoise_relay.exceptions import JobFailed, ProtocolError
from denoise_relay.retry import Backoff

logger = logging.getLogger("denoise_relay.upstream")

#: From here on, a wrong key is found out by a cheap request rather than by the upload, where
#: an early 401 is mostly lost: the client sees a reset while it still writes.
PROBE_FROM_BYTES = 1024 * 1024
#: Submissions of one job, at most: each lost one may have been billed.
MAX_SUBMISSIONS = 5
#: Failures of the stream in a row after which the history is asked.
FAILURES_BEFORE_HISTORY = 3
#: Tries to fetch a result.
RESULT_TRIES = 5

#: What a stream can die of.
_STREAM_FAULTS = (NotSent, Broken, ProtocolError, Cut, Quiet, Refused)
#: What any other request can die of.
_CALL_FAULTS = (NotSent, Broken, ProtocolError, Refused)


@dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
    """How patient we are, in seconds. All of it follows from two settings."""

    #: First ceiling of a back-off, and the last.
    backoff: float
    longest_backoff: float
    #: Without an event, whatever bytes come.
    quiet: float
    #: Between the two absences from the history that end a job.
    absence: float
    #: How long an upload of unknown outcome is looked for.
    grace: float

    @classmethod
    def of(cls, settings: RelaySettings) -> Pace:
        silence = settings.UPSTREAM_SILENCE_SECONDS
        return cls(
            backoff=min(0.5, silence / 4),
            longest_backoff=min(30.0, silence / 2),
            quiet=silence * 5,
            absence=silence,
            grace=settings.SUBMISSION_GRACE_SECONDS,
        )


class UpstreamBackend(Backend):
    """Submits files to `UPSTREAM_URL` and follows them there."""

    name: ClassVar[str] = "upstream"

    def __init__(self, settings: RelaySettings) -> None:
        super().__init__(settings)
        self._exchanges = Exchanges()
        self._client = UpstreamClient(settings, self._exchanges)
        self._downloads = Downloads(settings, self._client, self._exchanges)
        self._pace = Pace.of(settings)
        #: Events that were not understood, by reason: `unknown_stage`, `bad_event`.
        self.skipped: Counter[str] = Counter()

    async def run(self, run: Run) -> Result:
        upstream_id = run.assignment.upstream_id or await self._submit(run)
        done = await self._follow(run, upstream_id)
        return await self._fetch(run, upstream_id, done)

    async def aclose(self) -> None:
        await self._exchanges.aclose()

    @classmethod
    def check(cls, settings: RelaySettings) -> Sequence[CheckMessage]:
        return check_upstream(settings)

    # --- Submission: exactly once, as far as the contract allows -----------------------------

    async def _submit(self, run: Run) -> str:
        """Return the upstream's id of the job, which `run` has committed."""
        attempt = run.assignment.attempt
        # A runner before us began to submit and told no more. Its connection died with it,
        # at the latest now.
        upstream_id = await self._reconcile(run, attempt) if attempt else None
        while upstream_id is None:
            if attempt and self.settings.ON_LOST_SUBMISSION == "fail":
                raise JobFailed(
                    _("The upload was interrupted. Please try again."),
                    detail=f"submission {attempt} was lost, and ON_LOST_SUBMISSION is 'fail'",
                )
            if attempt >= MAX_SUBMISSIONS:
                raise JobFailed(
                    _("The upload was interrupted. Please try again."),
                    detail=f"{attempt} submissions were lost",
                )
            upstream_id, attempt = await self._post(run)
        await run.accepted(upstream_id)
        return upstream_id

    async def _post(self, run: Run) -> tuple[str | None, int]:
        """Submit as a new attempt. The id is None when the submission was lost for good."""
        assignment = run.assignment
        try:
            source = await asyncio.to_thread(open_source, assignment.source)
        except OSError as exc:
            raise JobFailed(_("The recording is no longer here."), detail=repr(exc)) from exc
        with contextlib.closing(source):
            if assignment.size_bytes >= PROBE_FROM_BYTES:
                await self._probe()
            attempt = await run.submitting()
            backoff = self._backoff()
            while True:
                upload = Upload(
                    source,
                    file_name=file_name(assignment, attempt),
                    on_percent=lambda percent: run.report(
                        0.0, _("Uploading %(percent)d%%") % {"percent": percent}
                    ),
                )
                wait = 0.0
                try:
                    return await self._client.submit(upload, assignment.size_bytes), attempt
                except NotSent as exc:
                    fault: Exception = exc
                except Refused as exc:
                    self._give_up_if_final(exc)
                    fault, wait = exc, exc.wait
                    if not _surely_not_taken(exc):
                        return await self._lost(run, attempt, exc), attempt
                except (Broken, ProtocolError) as exc:
                    return await self._lost(run, attempt, exc), attempt
                except OSError as exc:
                    raise JobFailed(_("The recording cannot be read."), detail=repr(exc)) from exc
                # Not taken, for sure: the same attempt may go again under the same name.
                self._note("submission_deferred", run, fault)
                run.report(0.0, _("Waiting for the audio service"))
                await asyncio.sleep(backoff.next_delay(at_least=wait))
                await asyncio.to_thread(source.seek, 0)

    async def _probe(self) -> None:
        try:
            await self._client.probe()
        except Refused as exc:
            if exc.status in (401, 402):
                self._give_up_if_final(exc)
        except (NotSent, Broken, ProtocolError):
            pass  # the upload will tell

    async def _lost(self, run: Run, attempt: int, fault: Exception) -> str | None:
        self._note("submission_unclear", run, fault)
        return await self._reconcile(run, attempt)

    async def _reconcile(self, run: Run, attempt: int) -> str | None:
        """Search the history for an upload of unknown outcome; None when it never arrived.

        Nothing found proves nothing while the upload may still be on its way through the
        upstream, so the search that counts begins `grace` after now; one that failed does
        not count.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._pace.grace
        backoff = self._backoff()
        job = run.assignment.job
        # Every attempt, not only the last: an earlier one may have surfaced late.
        stems = {f"{job}-{number}" for number in range(1, attempt + 1)}

        def ours(record: Record) -> bool:
            return (record.file_name or "").rpartition(".")[0] in stems

        run.report(0.0, _("Confirming the upload"))
        while True:
            final = loop.time() >= deadline
            wait = 0.0
            try:
                result = await search(
                    self._client, ours, since=run.assignment.submitted_at, enough=1
                )
            except _CALL_FAULTS as exc:
                wait = self._after_fault(exc)
                self._note("history_failed", run, exc)
            else:
                if result.found:
                    if len(result.found) > 1:
                        self._note("duplicate_submission", run, None)
                    return result.found[0].id
                if final and result.complete:
                    return None
            delay = backoff.next_delay(at_least=wait)
            remaining = deadline - loop.time()
            await asyncio.sleep(min(delay, max(remaining, 0.0)) if remaining > 0 else delay)

    # --- Following: only a terminal event, or the history, ends a job ------------------------

    async def _follow(self, run: Run, upstream_id: str) -> Done:
        """Return the `done` event; an `error` event is raised as `JobFailed`."""
        backoff = self._backoff()

        def show(event: Processing) -> None:
            run.report(event.percent, text(event.message))

        listener = Listener(
            on_processing=show,
            on_progress=backoff.reset,
            skipped=self.skipped,
            quiet_seconds=self._pace.quiet,
        )
        absent_since: float | None = None
        loop = asyncio.get_running_loop()
        while True:
            try:
                async with self._client.progress(upstream_id) as response:
                    return _outcome(await listener.listen(response))
            except _STREAM_FAULTS as exc:
                fault = exc
                wait = self._after_fault(exc)
            self._note("stream_lost", run, fault)
            delay = backoff.next_delay(at_least=max(wait, self._asked(listener)))
            if backoff.failures % FAILURES_BEFORE_HISTORY == 0 or _wants_history(fault):
                if isinstance(fault, NotSent | Broken):
                    run.report(0.0, _("Waiting for the audio service"))
                record, absent = await self._ask_history(run, upstream_id)
                if record is not None and (settled := _settled(record)) is not None:
                    return settled
                if not absent:
                    absent_since = None
                elif absent_since is None:
                    absent_since = loop.time()
                elif loop.time() - absent_since >= self._pace.absence:
                    raise JobFailed(
                        _("The audio service has lost this recording."),
                        detail=f"{upstream_id} is not in the history; last fault: {fault}",
                    )
            await asyncio.sleep(delay)

    async def _ask_history(self, run: Run, upstream_id: str) -> tuple[Record | None, bool]:
        """Return the job's record, and whether it is absent for sure."""
        try:
            result = await search(
                self._client,
                lambda record: record.id == upstream_id,
                since=run.assignment.submitted_at,
                enough=1,
            )
        except _CALL_FAULTS as exc:
            self._after_fault(exc)
            self._note("history_failed", run, exc)
            return None, False
        if result.found:
            return result.found[0], False
        return None, result.complete

    def _asked(self, listener: Listener) -> float:
        """Seconds that the stream's own `retry:` asks for, within reason."""
        return min((listener.retry or 0) / 1000, self._pace.longest_backoff)

    # --- The result --------------------------------------------------------------------------

    async def _fetch(self, run: Run, upstream_id: str, done: Done) -> Result:
        """Bring the result home, or pass its checked URL through."""
        url = url_text(done.url)
        backoff = self._backoff()
        asked_for_bad = False
        fault: Exception | None = None
        for _try in range(RESULT_TRIES):
            wait = 0.0
            try:
                if not self.settings.STORE_RESULTS:
                    return Result(url=self._downloads.vet(url))
                return Result(file=await self._downloads.fetch(url, run.assignment.workspace))
            except BadUrl as exc:
                # The history may know a better one, or not yet; the same bad one is final.
                fault = exc
                if asked_for_bad and url:
                    break
                asked_for_bad = True
            except DownloadFailed as exc:
                fault, wait = exc, exc.wait
            self._note("result_failed", run, fault)
            record, _absent = await self._ask_history(run, upstream_id)
            if record is not None and (fresh := url_text(record.audio_url)):
                if isinstance(fault, BadUrl) and fresh == url:
                    break
                url = fresh
                if isinstance(fault, BadUrl):
                    continue
            await asyncio.sleep(backoff.next_delay(at_least=wait))
        raise JobFailed(_("The result could not be fetched."), detail=str(fault)) from fault

    # --- Faults ------------------------------------------------------------------------------

    def _backoff(self) -> Backoff:
        return Backoff(base=self._pace.backoff, cap=self._pace.longest_backoff)

    def _after_fault(self, fault: Exception) -> float:
        """Raise `JobFailed` when the key is refused; return how long the server asks to wait."""
        if not isinstance(fault, Refused):
            return 0.0
        if fault.status == httpx.codes.UNAUTHORIZED:
            self._give_up_if_final(fault)
        return fault.wait

    def _give_up_if_final(self, refused: Refused) -> None:
        """Raise `JobFailed` for an answer that will not get better."""
        if refused.status == httpx.codes.UNAUTHORIZED:
            raise JobFailed(
                _("The audio service refused this site's access. Please tell the site's staff."),
                detail=f"{refused}; is API_KEY right for UPSTREAM_URL?",
            )
        if 300 <= refused.status < 400:
            raise JobFailed(
                _("The audio service cannot be reached. Please tell the site's staff."),
                detail=f"{refused}; is UPSTREAM_URL right?",
            )
        if 400 <= refused.status < 500 and refused.status not in (408, 425, 429):
            raise JobFailed(
                refused.message or _("The audio service did not accept this recording."),
                detail=str(refused),
            )

    def _note(self, action: str, run: Run, fault: Exception | None) -> None:
        logger.info(
            "upstream: %s: %s",
            action,
            fault,
            extra=log.fields(action, job=str(run.assignment.job), fault=type(fault).__name__),
        )


def file_name(assignment: Assignment, attempt: int) -> str:
    """What an upload is called upstream: found again by it, ASCII, and nobody's own name."""
    extension = re.sub(r"[^a-z0-9]", "", assignment.extension.lower())[:8]
    return f"{assignment.job}-{attempt}.{extension or 'bin'}"


def _surely_not_taken(refused: Refused) -> bool:
    """Whether a refusal to retry says that no job was made. A gateway's own 502, 503 or 504
    does not: the server behind it may have taken the file."""
    return (
        refused.status in (408, 425, 429)
        or refused.explained
        or (refused.status == httpx.codes.SERVICE_UNAVAILABLE and refused.wait > 0)
    )


def _wants_history(fault: Exception) -> bool:
    """Whether reconnecting is pointless before the history has been asked."""
    return isinstance(fault, Quiet) or (
        isinstance(fault, Refused)
        and 400 <= fault.status < 500
        and fault.status not in (408, 425, 429)
    )


def _outcome(event: Done | Failed) -> Done:
    if isinstance(event, Failed):
        raise JobFailed(text(event.message), detail="an error event of the upstream")
    return event


def _settled(record: Record) -> Done | None:
    """Read a record as a terminal event; None while it is pending."""
    if record.status == "failed":
        raise JobFailed(text(record.error), detail="failed, says the upstream's history")
    return Done(url=record.audio_url) if record.status == "success" else None
