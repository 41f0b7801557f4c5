"""A finished job's page plays, seeks and switches the side."""

from __future__ import annotations

import pytest

from tests.browsers.conftest import CLEAN_HERTZ, NOISE_HERTZ, DoneJob
from tests.browsers.drivers.tab import Tab
from tests.browsers.player_page import SIDES, PlayerPage
from tests.processes import WebProcess

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


def test_each_side_is_heard_from_its_channel(player: PlayerPage) -> None:
    player.press_play()
    player.wait_until_beyond(0.2)
    player.listen()
    player.wait_until_heard(CLEAN_HERTZ, silent=(NOISE_HERTZ,))
    before = player.position

    player.choose_side("removed")
    player.wait_until_heard(NOISE_HERTZ, silent=(CLEAN_HERTZ,))

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
