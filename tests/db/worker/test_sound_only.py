"""Of a video, its sound is sent: what is judged is what is sent."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from django.core.files.base import ContentFile, File
from pytest_django import Settings

from denoise_relay import engine
from denoise_relay.backends.upstream import UpstreamBackend
from denoise_relay.conf import RelaySettings
from denoise_relay.jobs import actions
from denoise_relay.models import Job, Part
from denoise_relay.runtime import database
from denoise_relay.testing import ScriptedUpstream
from denoise_relay.worker.supervisor import Supervisor
from tests import corpus
from tests.db.worker.working import ended
from tests.unit.engine import material

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("media"),
    pytest.mark.skipif(not engine.available(), reason="needs the local engine"),
]
MIB = 2**20


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as running:
        yield running


async def sent(upstream: ScriptedUpstream, job: Job, **changes: Any) -> Job:
    """Run the job to its end."""
    settings = RelaySettings(
        **{
            "UPSTREAM_URL": upstream.url,
            "API_KEY": upstream.key,
            "ALLOWED_RESULT_HOSTS": (upstream.netloc,),
            "VERIFY_RESULTS": False,
            "ANALYSE_RESULTS": False,
            **changes,
        }
    )
    supervisor = Supervisor(UpstreamBackend(settings), settings)
    await supervisor.start()
    try:
        (found,) = await ended(job, within=50)
    finally:
        await supervisor.stop()
    assert found.status == "done", (found.message, found.error_detail)
    return found


def endings(upstream: ScriptedUpstream) -> list[str]:
    return [(record.file_name or "").rpartition(".")[2] for record in upstream.records]


async def submitted(name: str, content: bytes | None = None) -> Job:
    return await actions.asubmit(ContentFile(content or corpus.content(name), name))


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        ("film.mp4", "m4a"),
        ("film.mov", "m4a"),
        ("obs.mkv", "m4a"),
        ("divx.avi", "mp3"),
        ("camera.avi", "flac"),
        ("camcorder.mts", "flac"),
        # Few pictures, and FLAC would be larger than six channels of AC-3.
        ("surround.mkv", "mkv"),
        # No pictures: it would not get smaller.
        ("meeting.webm", "webm"),
        ("safari.mp4", "mp4"),
        ("cast.mp3", "mp3"),
        ("recorder.wav", "wav"),
    ],
)
async def test_what_is_sent(name: str, ending: str, upstream: ScriptedUpstream) -> None:
    job = await sent(upstream, await submitted(name))
    assert endings(upstream) == [ending]
    assert bool(job.sent) is not name.endswith(ending)
    assert (job.file_name, job.size_bytes) == (name, len(corpus.content(name)))


async def test_a_setting_turns_it_off(upstream: ScriptedUpstream) -> None:
    job = await sent(upstream, await submitted("film.mp4"), SEND_SOUND_ONLY=False)
    assert endings(upstream) == ["mp4"]
    assert not job.sent
    # What the contract does not take has to become FLAC all the same.
    await sent(upstream, await submitted("clip.3gp"), SEND_SOUND_ONLY=False)
    assert sorted(endings(upstream)) == ["flac", "mp4"]


async def test_samples_are_packed_where_that_pays(
    upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    quiet = np.tile(material.speech(48_000) * 0.1, 48)
    path = material.make(tmp_path, "s16.wav", quiet, rate=48_000)
    assert path.stat().st_size > 16 * MIB
    job = await sent(upstream, await submitted("long.wav", path.read_bytes()))
    assert endings(upstream) == ["flac"]
    assert 0 < job.sent.size < job.size_bytes * 2 / 3


def film(path: Path, *, seconds: int, size_bytes: int) -> None:
    """A video as cameras write them: much picture, which nobody here decodes, and sound."""
    rate, pictures = 16_000, seconds // 2
    noise = np.random.default_rng(0).bytes(size_bytes // pictures)
    tone = 0.3 * np.sin(np.arange(rate * 4) / 7).astype(np.float32)[None]
    with av.open(str(path), "w", format="mov") as container:
        video: Any = container.add_stream("mjpeg", rate=25)
        video.width, video.height, video.pix_fmt = 176, 144, "yuvj420p"
        video.time_base = Fraction(1, 25)
        sound: Any = container.add_stream("pcm_s16le", rate=rate, layout="mono")
        for number in range(pictures):
            picture = av.Packet(noise)
            picture.stream, picture.time_base = video, Fraction(1, 25)
            picture.pts = picture.dts = number * 50
            picture.duration, picture.is_keyframe = 50, True
            container.mux(picture)
            if number % 2 == 0:
                frame = av.AudioFrame.from_ndarray(tone, "fltp", "mono")
                frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
                frame.pts = number * 2 * rate
                container.mux(sound.encode(frame))
        container.mux(sound.encode(None))


def most_memory() -> int:
    """Bytes that this process has had at once."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


async def test_a_video_of_450_mb_goes_through_an_upstream_that_takes_200(
    upstream: ScriptedUpstream, settings: Settings, tmp_path: Path
) -> None:
    settings.DENOISE_RELAY = {**settings.DENOISE_RELAY, "MAX_UPLOAD_BYTES": 600 * MIB}
    path = tmp_path / "wedding.mov"
    await asyncio.to_thread(film, path, seconds=840, size_bytes=450 * MIB)
    size = path.stat().st_size
    assert size > 450 * MIB
    before = most_memory()
    with path.open("rb") as file:
        job = await actions.asubmit(File(file, name="wedding.mov"))
    job = await sent(upstream, job, UPSTREAM_MAX_BYTES=200 * MIB)
    assert job.duration_seconds == pytest.approx(840, abs=1)
    assert endings(upstream) == ["flac"]
    assert job.sent.size < 40 * MIB
    assert not await database.call(Part.objects.filter(job=job).exists)
    # The scripted upstream, which keeps what it gets, is in this process.
    assert most_memory() - before < 60 * MIB + 2 * job.sent.size
