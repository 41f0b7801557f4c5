"""What is said about a result: nothing about a good one, and the right thing about a bad one."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from denoise_relay.engine import Verification
from denoise_relay.worker.verdict import Finding, judge

GOOD = Verification(
    playable=True,
    before_seconds=60.0,
    after_seconds=60.0,
    speech_seconds=30.0,
    speech_before_db=-24.0,
    speech_after_db=-26.0,
    lost_seconds=0.0,
    tracks=1,
    channels_before=2,
    channels_after=2,
)


def found(**changes: Any) -> list[Finding]:
    return list(judge(dataclasses.replace(GOOD, **changes)))


@given(
    lost_db=st.floats(-10, 20),
    seconds=st.floats(1, 100_000),
    padding=st.floats(-0.4, 0.4),
    speech_share=st.floats(0, 1),
    lost_share=st.floats(0, 0.5),
)
def test_a_good_result_is_never_called_bad(
    lost_db: float, seconds: float, padding: float, speech_share: float, lost_share: float
) -> None:
    findings = found(
        lost_seconds=seconds * speech_share * lost_share,
        before_seconds=seconds,
        after_seconds=seconds + padding,
        speech_seconds=seconds * speech_share,
        speech_after_db=GOOD.speech_before_db - lost_db,
    )
    assert not [finding for finding in findings if finding.bad]


@given(lost_db=st.floats(25.1, 200), speech_seconds=st.floats(1, 60), before_db=st.floats(-100, 0))
def test_speech_that_is_gone_is_always_seen(
    lost_db: float, speech_seconds: float, before_db: float
) -> None:
    findings = found(
        speech_seconds=speech_seconds,
        speech_before_db=before_db,
        speech_after_db=before_db - lost_db,
    )
    assert [(finding.code, finding.bad) for finding in findings] == [("silent_result", True)]


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        ({}, []),
        ({"playable": False, "after_seconds": 0.0, "speech_after_db": -200.0}, ["unplayable"]),
        ({"after_seconds": 55.0}, ["wrong_length"]),
        ({"after_seconds": 61.0}, ["wrong_length"]),
        # A cough says nothing about levels.
        ({"speech_seconds": 0.5, "speech_after_db": -90.0}, []),
        # The level of all speech says little about a part of it.
        ({"lost_seconds": 20.0, "speech_after_db": -30.0}, ["silent_result"]),
        ({"lost_seconds": 10.0}, ["partly_silent"]),
        # Perhaps somebody sang, or laughed.
        ({"lost_seconds": 1.5}, []),
        ({"lost_seconds": 10.0, "speech_seconds": 1000.0}, []),
        # Music: a silent result is right.
        ({"speech_seconds": 0.0, "speech_after_db": -200.0}, ["no_speech"]),
        ({"tracks": 3}, ["several_tracks"]),
        ({"channels_before": 6}, ["mixed_down"]),
        ({"channels_before": 6, "channels_after": 6}, []),
        (
            {"speech_after_db": -90.0, "after_seconds": 1.0, "tracks": 2},
            ["silent_result", "wrong_length", "several_tracks"],
        ),
    ],
)
def test_each_finding(changes: dict[str, Any], codes: list[str]) -> None:
    findings = found(**changes)
    assert [finding.code for finding in findings] == codes
    assert all(finding.text for finding in findings)


def test_numbers_are_in_the_words() -> None:
    (tracks,) = found(tracks=3)
    assert "3 audio tracks" in tracks.text
    (channels,) = found(channels_before=6)
    assert "6 channels" in channels.text
