"""A submission is exactly-once as far as the contract allows, whatever breaks in it."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from denoise_relay.backends.upstream import UpstreamBackend
from denoise_relay.exceptions import JobFailed, LeaseLost
from denoise_relay.testing import Answer, ScriptedUpstream, answers
from tests.contract.runs import NewBackend, NewRun
from tests.waiting import eventually

TAKEN = answers.accept()
LOST_BODY = answers.read_body()


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """Large enough that the socket's buffers cannot hold it, and that the key is probed."""
    source = tmp_path / "large.wav"
    with source.open("wb") as file:
        file.truncate(24 * 1024 * 1024)
    return source


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(TAKEN + answers.reset(), id="taken, then reset"),
        pytest.param(TAKEN + answers.close(), id="taken, then closed"),
        pytest.param(
            TAKEN + answers.body(200, b'{"denoiseId":"', "application/json"), id="cut JSON"
        ),
        pytest.param(
            TAKEN + answers.body(200, b'{"denoise', "application/json", {"Content-Length": "99"}),
            id="cut body",
        ),
        pytest.param(TAKEN + answers.json_body(200, {}), id="no id"),
        pytest.param(TAKEN + answers.json_body(200, {"denoiseId": "../x"}), id="a hostile id"),
        pytest.param(TAKEN + answers.body(502, b"<html>", "text/html"), id="502 of a proxy"),
        pytest.param(TAKEN + answers.body(504, b"", "text/plain"), id="504 of a proxy"),
        pytest.param(TAKEN + answers.raw(b"HTTP/1.1 2"), id="cut head"),
    ],
)
async def test_an_answer_lost_after_the_file_was_taken_makes_no_second_job(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun, fault: Answer
) -> None:
    upstream.on_submit(fault)
    run = new_run()
    await backend.run(run)
    assert len(upstream.records) == 1
    assert upstream.counts["submit"] == 1
    assert run.commits == ["submitting 1", f"accepted {upstream.records[0].id}"]
    assert "Confirming the upload" in run.messages


async def test_silence_after_the_file_was_taken_makes_no_second_job(
    upstream: ScriptedUpstream,
    backend: UpstreamBackend,
    new_run: NewRun,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("denoise_relay.backends.upstream.client.ANSWER_SECONDS", 0.3)
    upstream.on_submit(TAKEN + answers.silence())
    await backend.run(new_run())
    assert upstream.counts["submit"] == 1


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(answers.reset(), id="reset before the body"),
        pytest.param(answers.close(), id="closed before the body"),
        pytest.param(LOST_BODY + answers.reset(), id="reset, nothing taken"),
        pytest.param(LOST_BODY + answers.body(502, b"<html>", "text/html"), id="502 of a proxy"),
    ],
)
async def test_a_file_that_never_arrived_is_posted_again_after_the_grace(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun, fault: Answer
) -> None:
    upstream.on_submit(fault)
    run = new_run()
    before = asyncio.get_running_loop().time()
    await backend.run(run)
    assert asyncio.get_running_loop().time() - before >= 0.4
    assert run.commits == ["submitting 1", "submitting 2", f"accepted {upstream.records[0].id}"]
    assert [upload.file_name for upload in upstream.uploads] == [f"{run.assignment.job}-2.wav"]


async def test_a_lost_submission_can_end_the_job_instead(
    upstream: ScriptedUpstream, new_backend: NewBackend, new_run: NewRun
) -> None:
    upstream.on_submit(LOST_BODY + answers.reset())
    run = new_run()
    with pytest.raises(JobFailed, match="interrupted"):
        await new_backend(ON_LOST_SUBMISSION="fail").run(run)
    assert upstream.counts["submit"] == 1


async def test_losses_are_not_repeated_for_ever(
    upstream: ScriptedUpstream, new_backend: NewBackend, new_run: NewRun
) -> None:
    upstream.on_submit(*[LOST_BODY + answers.reset()] * 20)
    with pytest.raises(JobFailed, match="interrupted"):
        await new_backend(SUBMISSION_GRACE_SECONDS=0).run(new_run())
    assert upstream.counts["submit"] == 5


async def test_a_gateways_errors_are_outlasted(
    upstream: ScriptedUpstream, new_backend: NewBackend, new_run: NewRun
) -> None:
    """Each is unclear on its own, but it is an answer, and the history says nothing came of it."""
    gateway = LOST_BODY + answers.body(502, b"<html>", "text/html")
    upstream.on_submit(*[gateway] * 8)
    run = new_run()
    await new_backend(SUBMISSION_GRACE_SECONDS=0).run(run)
    assert upstream.counts["submit"] == 9
    assert run.commits[-2:] == ["submitting 9", f"accepted {upstream.records[0].id}"]


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


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(LOST_BODY + answers.error(429), id="429"),
        pytest.param(LOST_BODY + answers.error(429, retry_after="0"), id="429 with Retry-After"),
        pytest.param(LOST_BODY + answers.error(500), id="500 explained"),
        pytest.param(LOST_BODY + answers.error(503), id="503 explained"),
        pytest.param(LOST_BODY + answers.error(503, retry_after="-9"), id="503, odd Retry-After"),
        pytest.param(
            LOST_BODY + answers.body(503, b"", "text/plain", {"Retry-After": "1"}),
            id="503 with Retry-After alone",
        ),
    ],
)
async def test_a_refusal_for_now_is_tried_again_as_the_same_attempt(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun, fault: Answer
) -> None:
    upstream.on_submit(fault)
    run = new_run()
    await backend.run(run)
    assert run.commits == ["submitting 1", f"accepted {upstream.records[0].id}"]
    assert upstream.counts["list"] == 0
    assert upstream.counts["submit"] == 2


async def test_an_unreachable_upstream_is_waited_for(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    await upstream.refuse_connections()
    run = new_run()
    job = asyncio.create_task(backend.run(run), name="job")
    await eventually(lambda: "Waiting for the audio service" in run.messages)
    await upstream.accept_connections()
    result = await asyncio.wait_for(job, 10)
    assert result.file is not None
    assert run.commits == ["submitting 1", f"accepted {upstream.records[0].id}"]


@pytest.mark.parametrize("status", [400, 402, 403, 404, 413])
async def test_a_final_refusal_ends_the_job_in_the_upstreams_words(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun, status: int
) -> None:
    upstream.on_submit(LOST_BODY + answers.error(status, "No, because of <b>this</b>"))
    with pytest.raises(JobFailed, match=r"^No, because of <b>this</b>$") as caught:
        await backend.run(new_run())
    assert str(status) in caught.value.detail
    assert upstream.counts["submit"] == 1


async def test_a_wrong_key_ends_the_job_in_neutral_words(
    new_backend: NewBackend, new_run: NewRun
) -> None:
    with pytest.raises(JobFailed) as caught:
        await new_backend(API_KEY="wrong-key").run(new_run())
    assert "tell the site's staff" in str(caught.value)
    assert "HTTP 401" in caught.value.detail
    assert "wrong-key" not in caught.value.detail


async def test_an_early_401_to_a_large_upload_is_found_out_by_the_probe(
    upstream: ScriptedUpstream, new_backend: NewBackend, new_run: NewRun, large: Path
) -> None:
    upstream.on_submit(answers.error(401) + answers.close())
    run = new_run(source=large)
    with pytest.raises(JobFailed, match="tell the site's staff"):
        await new_backend(API_KEY="wrong-key").run(run)
    assert upstream.counts == {"list": 1}
    assert run.commits == []


async def test_an_empty_wallet_is_found_out_by_the_probe(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun, large: Path
) -> None:
    upstream.on_list(answers.error(402, "Wallet is empty"))
    with pytest.raises(JobFailed, match="Wallet is empty"):
        await backend.run(new_run(source=large))
    assert upstream.counts["submit"] == 0


@pytest.mark.parametrize("status", [401, 402])
async def test_an_early_refusal_in_the_middle_of_a_large_upload(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun, large: Path, status: int
) -> None:
    """The upstream answers and closes while we write: the answer may be lost to a reset. Either
    way there is no second submission before the history was asked."""
    upstream.on_submit(answers.error(status, "Refused early") + answers.close())
    upstream.on_list(answers.contract(), answers.error(401))
    with pytest.raises(JobFailed):
        await backend.run(new_run(source=large))
    assert upstream.counts["submit"] == 1


async def test_a_redirect_of_the_upload_is_not_followed(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    async with ScriptedUpstream() as stranger:
        upstream.on_submit(LOST_BODY + answers.redirect(f"{stranger.url}/denoise?x=secret", 308))
        with pytest.raises(JobFailed) as caught:
            await backend.run(new_run())
        assert not stranger.seen
    assert "127.0.0.1" in caught.value.detail
    assert "secret" not in caught.value.detail


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


async def test_a_lost_lease_stops_the_upload(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun, large: Path
) -> None:
    run = new_run(source=large)
    upstream.on_submit(answers.read_body() + answers.silence())
    job = asyncio.create_task(backend.run(run), name="job")
    await eventually(lambda: "Uploading 10%" in run.messages)
    run.lost = True
    with pytest.raises(LeaseLost):
        await asyncio.wait_for(job, 10)
    assert not upstream.uploads


async def test_the_intent_is_committed_before_the_first_byte(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    run = new_run()
    run.lost = True
    with pytest.raises(LeaseLost):
        await backend.run(run)
    assert not upstream.seen


async def test_a_missing_recording_ends_the_job(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun, tmp_path: Path
) -> None:
    run = new_run(source=tmp_path / "gone.wav")
    with pytest.raises(JobFailed, match="no longer here"):
        await backend.run(run)
    assert run.commits == []


@pytest.mark.parametrize(
    ("extension", "name"),
    [("wav", "wav"), ("", "bin"), ("../../x", "x"), ('a"\r\nb', "ab"), ("فيديو", "bin")],
)
async def test_file_names_are_harmless(
    upstream: ScriptedUpstream,
    backend: UpstreamBackend,
    new_run: NewRun,
    extension: str,
    name: str,
) -> None:
    run = new_run(extension=extension)
    await backend.run(run)
    assert re.fullmatch(rf"{run.assignment.job}-1\.{name}", upstream.uploads[0].file_name)
