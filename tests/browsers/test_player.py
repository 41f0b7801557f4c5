"""A finished job's page plays, seeks and switches the side."""

from __future__ import annotations

import pytest

from tests.browsers.conftest import DoneJob
from tests.browsers.drivers.tab import Tab
from tests.browsers.player_page import PlayerPage
from tests.processes import WebProcess


@pytest.fixture
def player(tab: Tab, web: WebProcess, done_job: DoneJob) -> PlayerPage:
    for name, value in done_job.cookies.items():
        tab.set_cookie(web.url, name, value)
    return PlayerPage(tab, f"{web.url}{done_job.path}")


def test_play_and_pause(player: PlayerPage) -> None:
    player.press_play()
    player.wait_until_beyond(0.5)
    player.press_play()
    player.wait_until_paused()
    held = player.position
    assert player.position == held


def test_seek(player: PlayerPage) -> None:
    player.tab.press("ArrowRight")
    player.wait_until_beyond(4.9)
    player.press_play()
    player.wait_until_beyond(5.3)
    assert player.position < 9


def test_the_switch_keeps_the_position_while_playing(player: PlayerPage) -> None:
    player.press_play()
    player.wait_until_beyond(0.5)
    assert player.side == "denoised"
    before = player.position
    player.switch()
    assert player.side == "original"
    assert before <= player.position < before + 4
    player.wait_until_beyond(before + 0.5)
