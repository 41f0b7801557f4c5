"""Reading the journal: the newest event, events after a number, positions."""

from __future__ import annotations

from uuid import uuid4

import pytest

from denoise_relay.events import Fact
from denoise_relay.journal import read
from tests.db.factories import append, end, make_job

pytestmark = pytest.mark.django_db


def test_reads() -> None:
    job, other = make_job(), make_job()
    for pct in range(1, 6):
        append(job, Fact(pct=pct))

    assert [e.seq for e in read.after(job.pk, 3)] == [4, 5, 6]
    assert [e.seq for e in read.after(job.pk, 0, limit=2)] == [1, 2]
    assert read.after(job.pk, 6) == []
    assert read.latest(job.pk) == read.after(job.pk, 5)[0]
    assert read.latest(uuid4()) is None
    assert read.positions([job.pk, other.pk, uuid4()]) == {
        job.pk: (6, False),
        other.pk: (1, False),
    }
    end(other)
    assert read.positions([other.pk]) == {other.pk: (2, True)}
