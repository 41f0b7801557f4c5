"""A job that is deleted while somebody watches: they hear of it, whatever message is lost."""

from __future__ import annotations

import pytest

import denoise_relay
from denoise_relay.live.feed import Feed
from denoise_relay.live.mailbox import Mailbox
from denoise_relay.models import Job
from denoise_relay.runtime import database
from tests.db.factories import make_job

pytestmark = pytest.mark.django_db(transaction=True)


async def watched(feed: Feed) -> tuple[Job, Mailbox]:
    job, box = await database.call(make_job), Mailbox()
    feed.watch(job.pk, box)
    assert [frame.seq async for frame in feed.replay(job.pk, None)] == [1]
    return job, box


async def test_viewers_are_sent_the_end(the_feed: Feed) -> None:
    job, box = await watched(the_feed)
    await denoise_relay.adelete(job)
    (frame,) = await box.take()
    assert (frame.seq, frame.terminal, frame.event.message) == (2, True, "Canceled.")


async def test_when_the_message_is_lost_the_position_check_finds_it(
    the_feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, box = await watched(the_feed)
    _other, their_box = await watched(the_feed)
    monkeypatch.setattr("denoise_relay.pubsub.publisher.publish_soon", lambda events: None)
    await denoise_relay.adelete(job)
    await the_feed.check_now()
    (frame,) = await box.take()
    assert (frame.seq, frame.terminal) == (2, True)
    assert frame.event.message == "This recording was deleted."
    their_box.wake()
    assert await their_box.take() == []
