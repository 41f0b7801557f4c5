"""What is heard at a switch, recorded at the player's output, in a recording of 15 minutes."""

from __future__ import annotations

import numpy as np
import pytest
import pytest_asyncio

from tests.browser.conftest import DoneJob
from tests.browser.player import signals
from tests.browser.player.conftest import LONG_SECONDS, NewPlayer, PlayerPage
from tests.browser.player.signals import Samples

# In real time, after the file was made.
pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]

PLACES = np.linspace(3, LONG_SECONDS - 10, 10).round(2).tolist()
#: What is switched to at these places, one after another.
SIDES = ("original", "denoised", "mix", "original", "mix", "denoised") * 2
#: 1 ms.
MOST_OFFSET = signals.RATE // 1000
#: Besides the click: 2 ms around it.
NEAR_CLICK = signals.RATE // 500
#: A step of the fade itself: by 1 in 15 ms, at the height of the signals.
FADE_STEP = 0.4 / (0.015 * signals.RATE)
#: Of the recordings at a switch; the switch is somewhere in the middle.
SECONDS = 2.4


def clicks(samples: Samples) -> list[int]:
    """Where clicks begin."""
    (high,) = np.nonzero(np.abs(samples) > signals.CLICK_HEIGHT / 5)
    starts = high[np.diff(high, prepend=-signals.RATE) > NEAR_CLICK]
    return [int(start) for start in starts]


def height_of_click(samples: Samples, at: int) -> float:
    return float(np.abs(samples[at : at + signals.CLICK_SAMPLES]).max())


def largest_jump(samples: Samples) -> float:
    """The largest step between neighbours that are not at a click."""
    steps = np.abs(np.diff(samples))
    for start in clicks(samples):
        steps[max(0, start - NEAR_CLICK) : start + NEAR_CLICK] = 0
    return float(steps.max())


@pytest_asyncio.fixture(loop_scope="session")
async def player(new_player: NewPlayer, long_job: DoneJob) -> PlayerPage:
    player = await new_player(long_job, bypass_csp=True)
    await player.play_from(1)
    await player.begin_recording()
    return player


async def record_switch(player: PlayerPage, place: float, side: str) -> Samples:
    """Play at a place, and switch a second later; mono."""
    await player.play_from(place)
    await player.forget()
    await player.tab.wait_for_function("window.recorded.length * 128 > 48000", polling=20)
    await player.set("side", side)
    return (await player.take(SECONDS))[0]


async def test_switches_are_exact_and_smooth(player: PlayerPage) -> None:
    for place, side in zip(PLACES, SIDES, strict=False):
        samples = await record_switch(player, place, side)
        assert await player.get("side") == side
        found = clicks(samples)
        assert len(found) >= 2, (place, side)
        offsets = np.diff(found) - signals.RATE
        assert np.abs(offsets).max() <= MOST_OFFSET, (place, side, found)
        quarter = len(samples) // 4
        own = max(largest_jump(samples[:quarter]), largest_jump(samples[-quarter:]))
        assert largest_jump(samples) <= own + FADE_STEP, (place, side)
        # Something was switched: the clicks are not as high as they were.
        first, last = (height_of_click(samples, at) for at in (found[0], found[-1]))
        assert abs(first - last) > 0.05, (place, side)


async def test_sides_are_equally_loud_unless_that_is_switched_off(player: PlayerPage) -> None:
    async def heard() -> dict[str, float]:
        found = {}
        for side in ("original", "denoised", "mix"):
            await player.set("side", side)
            await player.set("mix", 0.5)
            await player.play_from(60)
            await player.forget()
            found[side] = signals.loudness((await player.take(4))[0])
        return found

    matched = await heard()
    assert max(matched.values()) - min(matched.values()) <= 0.5, matched
    await player.page.tab.get_by_role("switch", name="Match loudness").click()
    assert not await player.get("levelMatched")
    plain = await heard()
    assert plain["original"] - plain["denoised"] > 5, plain


async def test_what_was_removed_and_the_clean_recording_are_the_original(
    player: PlayerPage,
) -> None:
    await player.set("levelMatched", False)
    await player.play_from(120)
    await player.forget()
    parts = []
    for side in ("original", "denoised", "removed"):
        await player.set("side", side)
        # Without the fade, and from the same place in a second on.
        await player.take(1)
        parts.append((await player.take(1))[0])
    original, clean, removed = parts
    assert min(np.abs(part).max() for part in parts) > 0.2
    rest = removed + clean - original
    assert np.mean(rest**2) <= 10 ** (-60 / 10) * np.mean(original**2)


async def test_left_and_right_stay_apart(new_player: NewPlayer, stereo_job: DoneJob) -> None:
    player = await new_player(stereo_job, bypass_csp=True)
    await player.set("levelMatched", False)
    await player.play_from(1)
    await player.begin_recording()
    original, clean = signals.second()
    for side, loudest in (
        ("original", np.abs(original).max()),
        ("denoised", np.abs(clean).max()),
        ("removed", np.abs(original - clean).max()),
    ):
        await player.set("side", side)
        await player.forget()
        await player.take(0.5)
        left, right = await player.take(1.5)
        assert abs(np.abs(left).max() - loudest) < 0.001, side
        assert np.abs(left / 2 - right).max() < 0.0001, side
