"""A job that goes well, as the upstream and the journal see it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from denoise_relay.backends.upstream import UpstreamBackend
from denoise_relay.testing import ScriptedUpstream, answers
from tests.contract.runs import NewBackend, NewRun, empty_file


async def test_a_job_is_submitted_followed_and_brought_home(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    run = new_run()
    result = await backend.run(run)
    record = upstream.records[0]
    assert result.file is not None
    assert result.file.parent == run.assignment.workspace
    assert result.file.suffix == ".wav"
    assert result.file.read_bytes() == upstream.result
    assert run.commits == ["submitting 1", f"accepted {record.id}"]
    assert run.reports == [
        (0, "Uploading 100%"),
        (15, "Extracting audio"),
        (62, "Running noise reduction"),
    ]
    assert upstream.counts == {"submit": 1, "progress": 1, "result": 1}


async def test_the_upload_is_the_file_under_a_name_of_ours(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    run = new_run()
    await backend.run(run)
    (upload,) = upstream.uploads
    content = run.assignment.source.read_bytes()
    assert upload.field == "audio"
    assert upload.file_name == f"{run.assignment.job}-1.wav"
    assert upload.content_type == "audio/wav"
    assert upload.sha256 == hashlib.sha256(content).hexdigest()


async def test_requests_are_what_the_contract_asks_for(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    await backend.run(new_run())
    assert {seen.headers["x-api-key"] for seen in upstream.seen} == {upstream.key}
    assert {seen.headers["accept-encoding"] for seen in upstream.seen} == {"identity"}
    (stream,) = upstream.requests("progress")
    assert stream.headers["accept"] == "text/event-stream"
    (submit,) = upstream.requests("submit")
    assert "content-length" in submit.headers
    assert "transfer-encoding" not in submit.headers


async def test_a_large_upload_is_streamed_and_probed_first(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun, tmp_path: Path
) -> None:
    run = new_run(source=empty_file(tmp_path / "long.mp4", 3))
    await backend.run(run)
    assert [seen.route for seen in upstream.seen][:2] == ["list", "submit"]
    assert upstream.requests("list")[0].query == {"offset": "0", "limit": "1"}
    assert upstream.uploads[0].content_type == "video/mp4"
    assert upstream.uploads[0].size_bytes == 3 * 1024 * 1024
    uploading = [message for message in run.messages if message.startswith("Uploading")]
    assert uploading[-1] == "Uploading 100%"
    assert 5 < len(uploading) <= 101


async def test_a_known_id_is_followed_without_a_submission(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    record = upstream.add_record("x-1.wav")
    run = new_run(attempt=1, upstream_id=record.id)
    result = await backend.run(run)
    assert result.file is not None
    assert run.commits == []
    assert upstream.counts["submit"] == 0


async def test_results_can_be_passed_through(
    upstream: ScriptedUpstream, new_backend: NewBackend, new_run: NewRun
) -> None:
    upstream.on_progress(answers.stream(answers.done("https://cdn.example/a.wav?signed=1")))
    result = await new_backend(STORE_RESULTS=False).run(new_run())
    assert result.url == "https://cdn.example/a.wav?signed=1"
    assert result.file is None
    assert upstream.counts["result"] == 0


async def test_no_key_no_header(
    upstream: ScriptedUpstream, new_backend: NewBackend, new_run: NewRun
) -> None:
    upstream.key = ""
    await new_backend(API_KEY="").run(new_run())
    assert all("x-api-key" not in seen.headers for seen in upstream.seen)
