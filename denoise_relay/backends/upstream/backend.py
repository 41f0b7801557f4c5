"""One job through the upstream: submit it, follow it to its end, fetch its result."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import ClassVar

from django.core.checks import CheckMessage
from django.utils.translation import gettext as _

from denoise_relay.backends.base import Backend, Limits, Media, Result, Run
from denoise_relay.backends.upstream.accepted import contract_extension
from denoise_relay.backends.upstream.checks import check_upstream
from denoise_relay.backends.upstream.client import UpstreamClient
from denoise_relay.backends.upstream.context import RetryPolicy, RunContext
from denoise_relay.backends.upstream.download import Downloads
from denoise_relay.backends.upstream.errors import BadUrl, DownloadFailed, ResultTooLarge
from denoise_relay.backends.upstream.follower import Follower
from denoise_relay.backends.upstream.http import HttpClient
from denoise_relay.backends.upstream.messages import url_text
from denoise_relay.backends.upstream.previews import Previews
from denoise_relay.backends.upstream.submission import Submission
from denoise_relay.conf import RelaySettings
from denoise_relay.exceptions import JobFailed

#: How often the history is asked for the URL of a result that has none: about a minute, with the
#: usual back-off.
URL_TRIES = 10


class UpstreamBackend(Backend):
    """Submits files to `UPSTREAM_URL` and follows them there."""

    name: ClassVar[str] = "upstream"

    def __init__(self, settings: RelaySettings) -> None:
        super().__init__(settings)
        self._http = HttpClient()
        self._client = UpstreamClient(settings, self._http)
        self._downloads = Downloads(settings, self._client, self._http)
        self._policy = RetryPolicy.of(settings)
        #: Events that were not understood, by reason: `unknown_stage`, `bad_event`.
        self.skipped: Counter[str] = Counter()

    @property
    def limits(self) -> Limits:
        settings = self.settings
        return Limits(seconds=settings.UPSTREAM_MAX_SECONDS, size_bytes=settings.UPSTREAM_MAX_BYTES)

    def taken_as(self, media: Media) -> str | None:
        return contract_extension(media)

    @property
    def sound_only(self) -> bool:
        return self.settings.SEND_SOUND_ONLY

    async def run(self, run: Run) -> Result:
        context = RunContext(
            run=run,
            client=self._client,
            policy=self._policy,
            since=run.assignment.submitted_at or datetime.now(UTC),
        )
        resubmit = self.settings.ON_LOST_SUBMISSION == "resubmit"
        upstream_id = (
            run.assignment.upstream_id or await Submission(context, resubmit=resubmit).submit()
        )
        previews = Previews(context, upstream_id, self.settings)
        follower = Follower(context, upstream_id, self.skipped, on_progress=previews.progressed)
        try:
            done = await follower.follow()
        finally:
            await previews.stop()
        return await self._fetch(context, upstream_id, url_text(done.url))

    async def cancel(self, upstream_id: str) -> None:
        if "cancel" in self._client.extensions:
            await self._client.cancel(upstream_id)

    async def aclose(self) -> None:
        await self._http.aclose()

    @classmethod
    def check(cls, settings: RelaySettings) -> Sequence[CheckMessage]:
        return check_upstream(settings)

    async def _fetch(self, context: RunContext, upstream_id: str, url: str) -> Result:
        """Fetch the result, or pass its checked URL through.

        The URLs of a vendor expire, and a `done` event may come without one: the history
        is asked for a fresh one before each further try. A URL that may not be fetched is
        not tried twice. A download that fails is tried again until the caller cancels this, at
        the job's deadline: the result has been paid for.
        """
        backoff = context.backoff()
        refused: set[str] = set()
        fault: Exception | None = None
        while True:
            wait = 0.0
            try:
                if not self.settings.STORE_RESULTS:
                    return Result(url=self._downloads.checked(url))
                workspace = context.run.assignment.workspace
                return Result(file=await self._downloads.fetch(url, workspace))
            except BadUrl as exc:
                fault = exc
                refused.add(url)
            except ResultTooLarge as exc:
                fault = exc
                break
            except DownloadFailed as exc:
                fault, wait = exc, exc.wait
            context.log("result_failed", fault)
            fresh = await self._fresh_url(context, upstream_id)
            if fresh and fresh not in refused:
                url = fresh
                if isinstance(fault, BadUrl):
                    continue
            elif url in refused and (url or backoff.failures >= URL_TRIES):
                break
            context.run.report(99.0, _("The result cannot be fetched yet. Trying again."))
            await asyncio.sleep(backoff.next_delay(at_least=wait))
        raise JobFailed(_("The result could not be fetched."), detail=str(fault)) from fault

    async def _fresh_url(self, context: RunContext, upstream_id: str) -> str:
        """Ask the history where the result is; "" when it does not know, or not yet."""
        result, _wait = await context.find(lambda record: record.id == upstream_id)
        return url_text(result.found[0].audio_url) if result and result.found else ""
