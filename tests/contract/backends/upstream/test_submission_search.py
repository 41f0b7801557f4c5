"""Finding a submission of unknown outcome in the upstream's history."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from denoise_relay.backends.upstream import UpstreamBackend
from denoise_relay.testing import Answer, ScriptedUpstream, answers
from tests.contract.runs import NewBackend, NewRun
from tests.waiting import eventually


async def test_a_history_without_offsets_in_its_times_is_read_to_its_end(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    run = new_run(attempt=1)
    naive = datetime(2020, 1, 1)
    record = upstream.add_record(f"{run.assignment.job}-1.wav", created_at=naive)
    for number in range(120):
        upstream.add_record(f"x-{number}.wav", created_at=naive + timedelta(minutes=number + 1))
    await backend.run(run)
    assert run.commits == [f"accepted {record.id}"]


async def test_a_takeover_adopts_what_an_earlier_runner_submitted(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    run = new_run(attempt=3)
    job = run.assignment.job
    upstream.add_record("somebody-elses.wav")
    record = upstream.add_record(f"{job}-2.wav")
    await backend.run(run)
    assert run.commits == [f"accepted {record.id}"]
    assert upstream.counts["submit"] == 0


async def test_of_several_records_the_best_is_adopted(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    run = new_run(attempt=3)
    job = run.assignment.job
    upstream.add_record(f"{job}-1.wav", status="failed", error="first try")
    best = upstream.add_record(f"{job}-2.wav")
    upstream.finish(best)
    upstream.add_record(f"{job}-3.wav")
    await backend.run(run)
    assert run.commits == [f"accepted {best.id}"]


async def test_a_record_of_an_attempt_that_was_never_begun_is_not_ours(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    run = new_run(attempt=1)
    upstream.add_record(f"{run.assignment.job}-11.wav")
    upstream.add_record(f"x{run.assignment.job}-1.wav")
    await backend.run(run)
    assert run.commits[0] == "submitting 2"


@pytest.mark.parametrize("lag", [answers.accept(lag_seconds=0.3), answers.accept(lag_lists=3)])
async def test_a_record_that_appears_late_is_waited_for(
    upstream: ScriptedUpstream, new_backend: NewBackend, new_run: NewRun, lag: Answer
) -> None:
    upstream.on_submit(lag + answers.reset())
    await new_backend(SUBMISSION_GRACE_SECONDS=5).run(new_run())
    assert len(upstream.records) == 1
    assert upstream.counts["submit"] == 1


@pytest.mark.parametrize("cap", [1000, 40])
async def test_a_record_on_a_later_page_is_found(
    upstream: ScriptedUpstream,
    backend: UpstreamBackend,
    new_run: NewRun,
    cap: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also where the server gives shorter pages than were asked for."""
    run = new_run(attempt=1)
    record = upstream.add_record(f"{run.assignment.job}-1.wav")
    for number in range(250):
        upstream.add_record(f"other-{number}.wav")
    upstream.page_cap = cap
    await backend.run(run)
    assert run.commits == [f"accepted {record.id}"]


async def test_rows_inserted_between_pages_hide_nothing(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    run = new_run(attempt=1)
    record = upstream.add_record(f"{run.assignment.job}-1.wav")
    for number in range(150):
        upstream.add_record(f"other-{number}.wav")
    first = [r.as_json() for r in upstream.visible_records()[:100]]
    assert len(first) == 100
    upstream.on_list(answers.json_body(200, first))
    for number in range(30):
        upstream.add_record(f"newer-{number}.wav")
    await backend.run(run)
    assert run.commits == [f"accepted {record.id}"]


async def test_an_old_history_is_not_read_to_its_end(
    upstream: ScriptedUpstream, new_backend: NewBackend, new_run: NewRun
) -> None:
    for number in range(1000):
        old = datetime.now(UTC) - timedelta(days=2, minutes=number)
        upstream.add_record(f"old-{number}.wav", created_at=old)
    run = new_run(attempt=1)
    await new_backend(SUBMISSION_GRACE_SECONDS=0).run(run)
    assert run.commits[0] == "submitting 2"
    assert upstream.counts["list"] == 1


async def test_an_oldest_first_history_is_read_to_its_end(
    upstream: ScriptedUpstream, new_backend: NewBackend, new_run: NewRun
) -> None:
    """Newest first is a promise; a broken one must not lead to a second, billed job."""
    run = new_run(attempt=1)
    for number in range(150):
        upstream.add_record(
            f"old-{number}.wav", created_at=datetime.now(UTC) - timedelta(days=200 - number)
        )
    record = upstream.add_record(f"{run.assignment.job}-1.wav")
    rows = [r.as_json() for r in reversed(upstream.visible_records())]
    assert len(rows) == 151
    upstream.on_list(answers.json_body(200, rows[:100]), answers.json_body(200, rows[95:]))
    await new_backend(SUBMISSION_GRACE_SECONDS=0).run(run)
    assert run.commits == [f"accepted {record.id}"]


async def test_a_search_that_fails_is_not_a_search_that_found_nothing(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    run = new_run(attempt=1)
    record = upstream.add_record(f"{run.assignment.job}-1.wav")
    upstream.on_list(
        answers.error(500),
        answers.reset(),
        answers.body(200, b"[", "application/json"),
        answers.json_body(200, {"oops": 1}),
        answers.error(404),
        answers.error(503, retry_after="0"),
        *[answers.error(500)] * 4,
    )
    await backend.run(run)
    assert run.commits == [f"accepted {record.id}"]
    assert upstream.counts["submit"] == 0


async def test_a_history_without_end_proves_nothing(
    upstream: ScriptedUpstream, new_backend: NewBackend, new_run: NewRun
) -> None:
    """Fifty pages of news that are not ours: no second submission on such evidence."""
    for number in range(300):
        upstream.add_record(f"other-{number}.wav")
    upstream.page_cap = 2
    run = new_run(attempt=1)
    backend = new_backend(SUBMISSION_GRACE_SECONDS=0)
    job = asyncio.create_task(backend.run(run), name="job")
    await eventually(lambda: upstream.counts["list"] > 60)
    assert run.commits == []
    upstream.add_record(f"{run.assignment.job}-1.wav")
    await asyncio.wait_for(job, 20)
    assert upstream.counts["submit"] == 0
