"""An upstream that is a relay, too, says so: then nothing is lost, and nothing is doubled."""

from __future__ import annotations

import asyncio

import pytest

from denoise_relay.testing import Answer, ScriptedUpstream, answers
from tests.contract.backends.upstream.submissions import LOST_BODY
from tests.contract.runs import NewBackend, NewRun

TAKEN = answers.accept()


@pytest.fixture
def relay(upstream: ScriptedUpstream) -> ScriptedUpstream:
    upstream.extensions = ("idempotency-key", "cancel")
    return upstream


@pytest.mark.parametrize("fault", [answers.reset(), answers.error(504)], ids=["reset", "504"])
@pytest.mark.parametrize("taken", [True, False])
async def test_a_lost_answer_is_asked_for_again(
    relay: ScriptedUpstream, new_backend: NewBackend, new_run: NewRun, fault: Answer, taken: bool
) -> None:
    """Without a grace, more often than unclear submissions are allowed, and where a second one is
    forbidden: with the same key they are all one."""
    # The record shows up so late that no search finds it.
    late = answers.accept(lag_seconds=3600)
    relay.on_submit(*[(late if taken else LOST_BODY) + fault] * 7)
    run = new_run()
    backend = new_backend(SUBMISSION_GRACE_SECONDS=3600, ON_LOST_SUBMISSION="fail")
    async with asyncio.timeout(30):
        await backend.run(run)
    assert (len(relay.records), relay.counts["submit"]) == (1, 8)
    assert run.commits[-1] == f"accepted {relay.records[0].id}"
    keys = {seen.headers["idempotency-key"] for seen in relay.requests("submit")}
    assert keys == {str(run.assignment.job)}


async def test_a_strangers_server_gets_the_key_and_promises_nothing(
    upstream: ScriptedUpstream, new_backend: NewBackend, new_run: NewRun
) -> None:
    backend = new_backend()
    upstream.on_submit(TAKEN + answers.reset())
    await backend.run(new_run())
    assert upstream.counts["submit"] == 1
    assert not backend._client.idempotent
    assert upstream.requests("submit")[0].headers["idempotency-key"]


async def test_what_a_proxy_says_is_not_what_the_relay_understands(
    relay: ScriptedUpstream, new_backend: NewBackend, new_run: NewRun
) -> None:
    backend = new_backend()
    await backend.run(new_run())
    assert backend._client.idempotent
    relay.on_list(answers.body(502, b"<html>", "text/html"))
    relay.on_submit(LOST_BODY + answers.body(502, b"<html>", "text/html"))
    await backend.run(new_run())
    assert backend._client.idempotent
    relay.extensions = ()
    await backend.run(new_run())
    assert not backend._client.idempotent


async def test_a_cancel_is_passed_on(
    relay: ScriptedUpstream, new_backend: NewBackend, new_run: NewRun
) -> None:
    backend = new_backend()
    record = relay.add_record("a.wav")
    await backend.cancel(record.id)
    assert relay.counts["cancel"] == 0, "nothing is known about the upstream yet"
    await backend.run(new_run())
    await backend.cancel(record.id)
    assert (record.status, relay.counts["cancel"]) == ("failed", 1)
