"""An upstream that is a relay, whose previews are followed, for the tests of previews."""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator

import av
import numpy as np
from av.audio.frame import AudioFrame

from denoise_relay.backends.upstream import UpstreamBackend
from denoise_relay.testing import Answer, ScriptedUpstream, answers
from tests.contract.runs import RecordedRun

#: What a relay says in each answer, and so in scripted ones.
SAYS = {"Denoise-Relay-Extensions": "preview"}


def flac(seconds: float = 4.0, rate: int = 24_000, layout: str = "mono") -> bytes:
    """A soft noise."""
    file = io.BytesIO()
    channels = 1 if layout == "mono" else 2
    size = (1, round(seconds * rate) * channels)
    samples = np.random.default_rng(1).integers(-99, 99, size, np.int16)
    with av.open(file, "w", format="flac") as container:
        stream = container.add_stream("flac", rate=rate, layout=layout)
        frame = AudioFrame.from_ndarray(samples, "s16", layout)
        frame.sample_rate = rate
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


WHOLE = flac()


def streams(headers: dict[str, str] | None = None) -> list[Answer]:
    """Connections with ten events each, 30 ms apart."""
    found = []
    for first in range(0, 900, 10):
        events = [answers.processing((first + n) / 10) for n in range(10)]
        steps = [answers.raw(event) + answers.silence(0.03) for event in events]
        found.append(sum(steps, answers.stream(headers=headers)))
    return found


@contextlib.asynccontextmanager
async def following(
    relay: ScriptedUpstream, backend: UpstreamBackend, run: RecordedRun
) -> AsyncIterator[asyncio.Task[object]]:
    """Run a job; at the end of the block the upstream is done, and so must the job be."""
    job: asyncio.Task[object] = asyncio.create_task(backend.run(run), name="job")
    yield job
    relay.forget_scripts()
    await asyncio.wait_for(job, 10)
    assert not [task for task in asyncio.all_tasks() if "preview" in task.get_name()]
