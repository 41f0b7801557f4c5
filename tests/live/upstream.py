"""The scripted upstream, with jobs that take a while and go on when nobody listens."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any, Self

from denoise_relay.testing import Answer, Record, ScriptedUpstream, answers
from denoise_relay.testing.answers import Send, Wait


class LiveUpstream(ScriptedUpstream):
    """A job takes `job_seconds` from its submission, with an event each `tick` seconds.

    Whoever connects gets the events that are still to come, or the terminal one at once.
    Scripts (`on_submit`, …) go first, as everywhere.
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
        self.result = self._usual_result
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
        scripted = super().next_answer(route)
        if scripted is not None or route != "progress" or not self.job_seconds:
            return scripted
        # `seen` has just got this request, in the same step of the loop.
        record_id = self.seen[-1].path.rstrip("/").split("/")[-2]
        found = next((r for r in self.records if r.id == record_id), None)
        if found is None or found.status != "pending":
            return None
        return self._rest(found)

    def _left(self, record: Record) -> float:
        return self._accepted_at[record.id] + self.job_seconds - time.monotonic()

    def _rest(self, record: Record) -> Answer:
        left = self._left(record)
        steps = [*answers.stream().steps]
        for n in range(int(left / self.tick)):
            pct = 100 * (1 - (left - n * self.tick) / self.job_seconds)
            steps += [Send(answers.processing(round(pct, 1), "Working")), Wait(self.tick)]
        steps.append(Send(answers.done(self.result_url(record))))
        return Answer(tuple(steps))
