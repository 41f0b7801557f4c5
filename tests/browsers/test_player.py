"""A finished job's page plays, seeks and switches the side."""

from __future__ import annotations

import pytest

from tests.browsers.conftest import CLEAN_HERTZ, NOISE_HERTZ, DoneJob
from tests.browsers.drivers.tab import Tab
from tests.browsers.drivers.webkit import WebKitTab
from tests.browsers.player_page import SIDES, PlayerPage
from tests.processes import WebProcess

#: The noisy shape is seen around the clean one: two colours, besides the blends at the edges.
TWO_COLOURS = """
() => {
  const canvas = document.querySelector("denoise-player [data-part=waveform] canvas");
  const { width, height } = canvas;
  const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
  const counts = new Map();
  for (let at = 0; at < data.length; at += 4) {
    const colour = data.slice(at, at + 3).join();
    if (data[at + 3] === 255) counts.set(colour, (counts.get(colour) ?? 0) + 1);
  }
  const shapes = [...counts.values()].filter((count) => count > width * 4);
  return shapes.length === 2;
}
"""
#: WebKit starts anew for each test.
pytestmark = pytest.mark.timeout(150)


@pytest.fixture
def player(tab: Tab, web: WebProcess, done_job: DoneJob) -> PlayerPage:
    for name, value in done_job.cookies.items():
        tab.set_cookie(web.url, name, value)
    return PlayerPage(tab, f"{web.url}{done_job.path}")


def test_play_and_pause(player: PlayerPage) -> None:
    assert player.get("output") is None, "it took the sound before anybody pressed play"
    player.press_play()
    player.wait_until_beyond(0.5)
    assert player.get("playing")
    player.press_play()
    player.wait_for("playing", False)
    held = player.position
    assert player.position == held


def test_seek(player: PlayerPage) -> None:
    player.tab.press("ArrowRight")
    player.wait_until_beyond(4.9)
    player.press_play()
    player.wait_until_beyond(5.3)
    assert player.position < 9


def test_a_click_on_the_waveform_seeks(player: PlayerPage) -> None:
    player.tab.click("[data-part=waveform]")
    middle = player.get("duration") / 2
    player.wait_until_beyond(middle - 1)
    assert player.position < middle + 1


def test_both_waveforms_are_drawn_in_colours_of_the_page(player: PlayerPage) -> None:
    player.tab.wait_until(TWO_COLOURS)


def test_each_side_is_heard_from_its_channel(player: PlayerPage) -> None:
    player.press_play()
    player.wait_until_beyond(0.2)
    player.listen()
    player.wait_until_heard(CLEAN_HERTZ, silent=(NOISE_HERTZ,))
    before = player.position

    player.choose_side("removed")
    # WebKitGTK has a queue for each channel, and now and then they begin one or two blocks of 128
    # samples apart (docs/player.md): then some of the voice stays in the difference.
    silent = () if isinstance(player.tab, WebKitTab) else (CLEAN_HERTZ,)
    player.wait_until_heard(NOISE_HERTZ, silent=silent)

    player.choose_side("original")
    player.wait_until_heard(CLEAN_HERTZ, NOISE_HERTZ)

    player.choose_side("mix")
    player.wait_until_heard(CLEAN_HERTZ, NOISE_HERTZ)

    player.choose_side("denoised")
    player.wait_until_heard(CLEAN_HERTZ, silent=(NOISE_HERTZ,))
    assert before < player.position < before + 20, "it jumped"


def test_a_switch_while_it_is_paused(player: PlayerPage) -> None:
    for side in SIDES:
        player.choose_side(side)
        assert not player.get("playing")
