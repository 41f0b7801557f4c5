"""Jobs whose comparison file is known to the sample, and pages that record what is played."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from playwright.async_api import Route

from tests.browser.conftest import DoneJob, NewPage
from tests.browser.player import signals
from tests.browser.player.signals import Samples
from tests.browser.site_page import SitePage
from tests.processes import WebProcess
from tests.sites import Site

LONG_SECONDS = 15 * 60
SHORT_SECONDS = 20

NewJob = Callable[..., DoneJob]
NewPlayer = Callable[..., Awaitable["PlayerPage"]]

#: Everything at the rate of the file: samples pass as they are. A site's page leaves the rate to
#: the browser, which resamples both recordings alike.
AT_OUR_RATE = f"""
window.AudioContext = class extends AudioContext {{
  constructor(options) {{ super({{ ...options, sampleRate: {signals.RATE} }}); }}
}};
"""
RECORDER = """
registerProcessor("recorder", class extends AudioWorkletProcessor {
  process([input]) {
    const silence = new Float32Array(128);
    const [left = silence, right = left] = input;
    this.port.postMessage([left.slice(), right.slice()]);
    return true;
  }
});
"""
CONNECT = """
async (code) => {
  const path = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  const { output } = document.querySelector("denoise-player");
  const { context } = output;
  await context.audioWorklet.addModule(path);
  const recorder = new AudioWorkletNode(context, "recorder", { outputChannelCount: [2] });
  window.recorded = [];
  recorder.port.onmessage = ({ data }) => window.recorded.push(data);
  output.connect(recorder).connect(context.destination);
}
"""
#: The oldest samples, as base64 of both channels; the newer ones stay.
TAKE = """
(count) => {
  const blocks = window.recorded.splice(0, Math.ceil(count / 128));
  return [0, 1].map((channel) => {
    const whole = new Float32Array(blocks.length * 128);
    blocks.forEach((block, n) => whole.set(block[channel], n * 128));
    let text = "";
    for (const byte of new Uint8Array(whole.buffer)) text += String.fromCharCode(byte);
    return btoa(text);
  });
}
"""


class PlayerPage:
    """A page with a player of a job whose comparison file is there."""

    def __init__(self, page: SitePage) -> None:
        self.page = page
        self.tab = page.tab

    async def get(self, name: str) -> Any:
        """A property of the player."""
        return await self.tab.evaluate(
            "name => document.querySelector('denoise-player')[name]", name
        )

    async def set(self, name: str, value: object) -> None:
        await self.tab.evaluate(
            "([name, value]) => { document.querySelector('denoise-player')[name] = value; }",
            [name, value],
        )

    async def seek(self, seconds: float) -> None:
        await self.tab.evaluate(
            "seconds => document.querySelector('denoise-player').seek(seconds)", seconds
        )

    async def wait_until_position(self, seconds: float) -> None:
        await self.tab.wait_for_function(
            "seconds => document.querySelector('denoise-player').position > seconds", arg=seconds
        )

    async def play_from(self, seconds: float) -> None:
        """Play, and wait until it is heard from there on."""
        await self.seek(seconds)
        if not await self.get("playing"):
            await self.page.button("Play").click()
        await self.tab.wait_for_function(
            """seconds => {
              const { position } = document.querySelector("denoise-player");
              return position > seconds + 0.2 && position < seconds + 20;
            }""",
            arg=seconds,
        )

    async def begin_recording(self) -> None:
        """From now on everything that the player plays is kept; it has to play, and
        the page's policy must not forbid our worklet (`bypass_csp`)."""
        await self.tab.evaluate(CONNECT, RECORDER)

    async def forget(self) -> None:
        """Drop what was recorded so far."""
        await self.tab.evaluate("window.recorded.length = 0")

    async def take(self, seconds: float) -> Samples:
        """The oldest samples that were recorded, once there are as many: (2 channels, samples)."""
        count = round(seconds * signals.RATE)
        await self.tab.wait_for_function(
            "count => window.recorded.length * 128 >= count", arg=count, polling=100
        )
        texts = await self.tab.evaluate(TAKE, count)
        return np.stack([np.frombuffer(base64.b64decode(text), np.float32) for text in texts])


@pytest.fixture(scope="session")
def listener_session(site: Site) -> str:
    """The key of a session that may see every job of the site."""
    code = "from tests.browser.player import site_rows; site_rows.create_user()"
    return site.manage("shell", "--no-imports", "-c", code).strip()


@pytest.fixture(scope="session")
def new_job(site: Site, web: WebProcess, listener_session: str) -> NewJob:
    """Add a done job to the site."""
    cookie = {"name": "sessionid", "value": listener_session, "url": web.url}

    def create(comparison: Path | str, seconds: int, statistics: dict[str, Any] | None) -> DoneJob:
        arguments = ", ".join(map(repr, (str(comparison), seconds, statistics)))
        code = f"from tests.browser.player import site_rows; site_rows.create_job({arguments})"
        job = site.manage("shell", "--no-imports", "-c", code).strip()
        return DoneJob(f"/jobs/{job}/", [cookie])

    return create


@pytest.fixture(scope="session")
def statistics() -> dict[str, Any]:
    """What is true of the signals."""
    original, clean = signals.second()
    before, after = (signals.loudness(np.tile(it, 4)) for it in (original, clean))
    return {
        "before": {"loudness_lufs": before, "noise_floor_db": -15.1, "snr_db": -8.2},
        "after": {"loudness_lufs": after, "noise_floor_db": -78.4, "snr_db": 41.5},
        "removed_gain": 1.0,
        "noise_reduction_db": 26.4,
    }


@pytest.fixture(scope="session")
def short_comparison(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("comparison") / "short.flac"
    signals.write_comparison(path, SHORT_SECONDS)
    return path


@pytest.fixture(scope="session")
def short_job(new_job: NewJob, short_comparison: Path, statistics: dict[str, Any]) -> DoneJob:
    return new_job(short_comparison, SHORT_SECONDS, statistics)


@pytest.fixture(scope="session")
def stereo_job(
    new_job: NewJob, statistics: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> DoneJob:
    path = tmp_path_factory.mktemp("comparison") / "stereo.flac"
    signals.write_comparison(path, SHORT_SECONDS, stereo=True)
    return new_job(path, SHORT_SECONDS, statistics)


@pytest.fixture(scope="session")
def long_job(
    new_job: NewJob, statistics: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> DoneJob:
    path = tmp_path_factory.mktemp("comparison") / "long.flac"
    signals.write_comparison(path, LONG_SECONDS)
    job = new_job(path, LONG_SECONDS, statistics)
    path.unlink()
    return job


@pytest_asyncio.fixture(loop_scope="session")
async def new_player(new_page: NewPage) -> NewPlayer:
    """Open the page of a job whose comparison is there."""

    async def open_player(job: DoneJob, **options: Any) -> PlayerPage:
        page = await new_page(owner_of=job, **options)
        await page.context.add_init_script(AT_OUR_RATE)
        await page.goto(job.path)
        await page.tab.wait_for_function(
            """() => {
              const player = document.querySelector("denoise-player");
              return player.dataset.mode === "instrument" && player.dataset.ready !== undefined;
            }"""
        )
        return PlayerPage(page)

    return open_player


async def refuse(route: Route) -> None:
    """Answer as if there were no such file."""
    await route.fulfill(status=404)
