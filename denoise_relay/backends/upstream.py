"""The `upstream` backend: any server that speaks the contract does the job.

    upstream             a run from one end to the other, and the way the result comes home
    upstream_submission  hand the file over, exactly once        \\
    upstream_following   follow it, until it ends                 } decisions
    upstream_errand      what a run shares: pace, refusals       /
    upstream_client      the contract's four requests   upstream_history  searching the list
    upstream_stream      one connection's events        upstream_events   JSON to values
    upload, download     big bodies                     address_guard     which URLs may be fetched
    exchange             one HTTP request at a time: all of httpx
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import ClassVar

from django.core.checks import CheckMessage
from django.utils.translation import gettext as _

from denoise_relay.backends.address_guard import BadUrl
from denoise_relay.backends.base import Backend, Result, Run
from denoise_relay.backends.download import DownloadFailed, Downloads, TooLarge
from denoise_relay.backends.exchange import Exchanges
from denoise_relay.backends.upstream_checks import check_upstream
from denoise_relay.backends.upstream_client import UpstreamClient
from denoise_relay.backends.upstream_errand import Errand, Pace
from denoise_relay.backends.upstream_events import url_text
from denoise_relay.backends.upstream_following import Following
from denoise_relay.backends.upstream_submission import Submission
from denoise_relay.conf import RelaySettings
from denoise_relay.exceptions import JobFailed

#: Tries to fetch a result: about a minute, with the usual back-off.
RESULT_TRIES = 10


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
        errand = Errand(
            run=run,
            client=self._client,
            pace=self._pace,
            since=run.assignment.submitted_at or datetime.now(UTC),
        )
        resubmit = self.settings.ON_LOST_SUBMISSION == "resubmit"
        upstream_id = (
            run.assignment.upstream_id or await Submission(errand, resubmit=resubmit).submit()
        )
        done = await Following(errand, upstream_id, self.skipped).follow()
        return await self._fetch(errand, upstream_id, url_text(done.url))

    async def aclose(self) -> None:
        await self._exchanges.aclose()

    @classmethod
    def check(cls, settings: RelaySettings) -> Sequence[CheckMessage]:
        return check_upstream(settings)

    async def _fetch(self, errand: Errand, upstream_id: str, url: str) -> Result:
        """Bring the result home, or pass its checked URL through.

        The URLs of a vendor expire, and a `done` event may come without one: the history
        is asked for a fresh one before each further try. A URL that may not be fetched is
        not tried twice.
        """
        backoff = errand.backoff()
        refused: set[str] = set()
        fault: Exception | None = None
        for _try in range(RESULT_TRIES):
            wait = 0.0
            try:
                if not self.settings.STORE_RESULTS:
                    return Result(url=self._downloads.vet(url))
                workspace = errand.run.assignment.workspace
                return Result(file=await self._downloads.fetch(url, workspace))
            except BadUrl as exc:
                fault = exc
                refused.add(url)
            except TooLarge as exc:
                fault = exc
                break
            except DownloadFailed as exc:
                fault, wait = exc, exc.wait
            errand.note("result_failed", fault)
            fresh = await self._fresh_url(errand, upstream_id)
            if fresh and fresh not in refused:
                url = fresh
                if isinstance(fault, BadUrl):
                    continue
            elif url and url in refused:
                break
            await asyncio.sleep(backoff.next_delay(at_least=wait))
        raise JobFailed(_("The result could not be fetched."), detail=str(fault)) from fault

    async def _fresh_url(self, errand: Errand, upstream_id: str) -> str:
        """Ask the history where the result is; "" when it does not know, or not yet."""
        result, _wait = await errand.find(lambda record: record.id == upstream_id)
        return url_text(result.found[0].audio_url) if result and result.found else ""
