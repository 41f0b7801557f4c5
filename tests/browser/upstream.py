"""An upstream whose jobs go as far as a test lets them: outages need a job that waits."""

from __future__ import annotations

from collections.abc import Iterator

from denoise_relay.testing import Answer, ScriptedUpstream, answers
from denoise_relay.testing.answers import Send, Step, Wait

STEP_PERCENT = 5
PAUSE_SECONDS = 0.06


class PacedUpstream(ScriptedUpstream):
    """Jobs rise in steps of 5 % up to `limit`, wait there, and are done at 100."""

    def __init__(self) -> None:
        super().__init__()
        self.limit = 100

    def next_answer(self, route: str) -> Answer | None:
        scripted = super().next_answer(route)
        if scripted is not None or route != "progress":
            return scripted
        # `seen` has just got this request, in the same step of the loop.
        job = self.seen[-1].path.rstrip("/").split("/")[-2]
        found = next((record for record in self.records if record.id == job), None)
        if found is None or found.status != "pending":
            return None  # the contract: 404, or the terminal event again
        # Taken one by one while the stream runs, so that `limit` may change meanwhile.
        return Answer(_Rising(self, self.result_url(found)))  # type: ignore[arg-type]


class _Rising:
    def __init__(self, upstream: PacedUpstream, result_url: str) -> None:
        self._upstream = upstream
        self._result_url = result_url

    def __iter__(self) -> Iterator[Step]:
        yield from answers.stream().steps
        pct = 0
        while pct < 100:
            if pct < self._upstream.limit:
                pct += STEP_PERCENT
                yield Send(answers.processing(pct, f"Running step {pct // STEP_PERCENT}"))
            yield Wait(PAUSE_SECONDS)
        yield Send(answers.done(self._result_url))
