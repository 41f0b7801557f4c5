"""What was shown while a job ran goes when there is more to see, or will be nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from denoise_relay import engine
from denoise_relay.backends.base import Result, Run
from denoise_relay.media import waveforms
from denoise_relay.models import Segment
from denoise_relay.runtime import database
from tests.db.analyses import PIXEL, RATE
from tests.db.scripted_backends import Scripted, write_result
from tests.db.worker.gates import Gate, analyses_running
from tests.db.worker.working import QUICK, analysed, ended, new_job, working
from tests.waiting import eventually

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("media"),
    pytest.mark.skipif(not engine.available(), reason="needs the local engine"),
]
SETTINGS = replace(QUICK, ANALYSE_RESULTS=True)


async def _show(run: Run) -> Result:
    await run.accepted("u")
    run.preview(
        engine.Segment(
            number=0,
            duration_seconds=4.0,
            sample_rate=RATE,
            samples_per_pixel=PIXEL,
            peaks=b"\xff\x01" * 750,
            audio=b"fLaC",
        )
    )
    await eventually(_segments)
    return write_result(run)


async def test_segments_stay_until_the_waveform_is_complete(gate: Gate) -> None:
    job = await new_job()
    async with working(Scripted(SETTINGS, _show)):
        (found,) = await ended(job)
        growing = await database.call(waveforms.known, found, "denoised")
        assert growing
        assert (growing.complete, growing.segments) == (False, 1)
        gate.go_on.set()
        await analysed(job)
        complete = await database.call(waveforms.known, found, "denoised")
        assert complete
        assert (complete.complete, complete.peaks.length) == (True, 3)
        assert not await _segments()


@pytest.mark.parametrize("late", [True, False])
async def test_segments_go_where_there_will_be_no_waveform(gate: Gate, late: bool) -> None:
    gate.error = engine.EngineCrashed("killed")
    job = await new_job()
    if not late:
        gate.go_on.set()
    async with working(Scripted(SETTINGS, _show)):
        (found,) = await ended(job)
        gate.go_on.set()
        await eventually(lambda: not analyses_running())
        await eventually(lambda: _none_of(_segments))
    assert (found.status, found.statistics) == ("done", None)


async def _none_of(there: Callable[[], Awaitable[bool]]) -> bool:
    return not await there()


async def _segments() -> bool:
    return await database.call(Segment.objects.exists)
