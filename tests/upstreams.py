"""Scripted upstreams whose jobs take a while: by the clock, or as far as a test lets them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any, Self

from denoise_relay.testing import Answer, Record, ScriptedUpstream, answers
from denoise_relay.testing.answers import Send, Step, Wait

STEP_PERCENT = 5
STEP_SECONDS = 0.06


class SlowUpstream(ScriptedUpstream):
    """Answers a progress request for a pending job with `progress_of`.

    Scripts (`on_submit`, …) go first, as everywhere. What `progress_of` leaves open (None) is
    answered by the contract: 404, or the terminal event again.
    """

    def progress_of(self, record: Record) -> Answer | None:
        raise NotImplementedError

    def next_answer(self, route: str) -> Answer | None:
        scripted = super().next_answer(route)
        if scripted is not None or route != "progress":
            return scripted
        # The last entry of `seen` is this request: it was added in the same step of the loop.
        record_id = self.seen[-1].path.rstrip("/").split("/")[-2]
        found = next((record for record in self.records if record.id == record_id), None)
        if found is None or found.status != "pending":
            return None
        return self.progress_of(found)


class TimedUpstream(SlowUpstream):
    """A job takes `job_seconds` from its submission, with an event each `tick` seconds.

    It goes on without a reader. A new reader gets the events that are still to come, or the
    terminal one at once. With `job_seconds` at 0 it speaks the plain contract.
    """

    def __init__(self) -> None:
        super().__init__()
        self.job_seconds = 0.0
        self.tick = 0.1
        self._accepted_at: dict[str, float] = {}
        self._usual_result = self.result

    def __enter__(self) -> Self:
        super().__enter__()
        return self

    def reset(self) -> None:
        """Forget everything between two tests."""
        self.counts.clear()
        self.seen.clear()
        self.uploads.clear()
        self.records.clear()
        self._accepted_at.clear()
        self.forget_scripts()
        self.page_cap = 10_000
        self.result, self.transform = self._usual_result, None
        self.job_seconds, self.tick = 0.0, 0.1

    def submits(self) -> Counter[str]:
        """How many uploads of each of our jobs made an upstream job."""
        return Counter(record.file_name.rpartition("-")[0] for record in self.records)

    def add_record(self, file_name: str, **facts: Any) -> Record:
        record = super().add_record(file_name, **facts)
        self._accepted_at[record.id] = time.monotonic()
        return record

    def next_answer(self, route: str) -> Answer | None:
        for record in self.records:
            if record.status == "pending" and self._left(record) <= 0 and self.job_seconds:
                self.finish(record)
        return super().next_answer(route)

    def progress_of(self, record: Record) -> Answer | None:
        if not self.job_seconds:
            return None
        left = self._left(record)
        steps = [*answers.stream().steps]
        for n in range(int(left / self.tick)):
            pct = 100 * (1 - (left - n * self.tick) / self.job_seconds)
            steps += [Send(answers.processing(round(pct, 1), "Working")), Wait(self.tick)]
        steps.append(Send(answers.done(self.result_url(record))))
        return Answer(tuple(steps))

    def _left(self, record: Record) -> float:
        return self._accepted_at[record.id] + self.job_seconds - time.monotonic()


class SteppedUpstream(SlowUpstream):
    """Jobs rise in steps of 5 % up to `limit`, wait there, and are done at 100."""

    def __init__(self) -> None:
        super().__init__()
        self.limit = 100

    def progress_of(self, record: Record) -> Answer | None:
        # Taken one by one while the stream runs, so that `limit` may change meanwhile.
        return Answer(_Steps(self, self.result_url(record)))  # type: ignore[arg-type]


class _Steps:
    """The steps of one job, computed while they are sent."""

    def __init__(self, upstream: SteppedUpstream, result_url: str) -> None:
        self._upstream = upstream
        self._result_url = result_url

    def __iter__(self) -> Iterator[Step]:
        yield from answers.stream().steps
        pct = 0
        while pct < 100:
            if pct < self._upstream.limit:
                pct += STEP_PERCENT
                yield Send(answers.processing(pct, f"Running step {pct // STEP_PERCENT}"))
            yield Wait(STEP_SECONDS)
        yield Send(answers.done(self._result_url))
