"""What the facts about a result mean, in words for people. Pure, but for the language."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from denoise_relay.engine import Verification

#: dB that speech may lose with the noise. Good results lost at most 15 (babble, at -5 dB); where a
#: model had taken the voice for noise, it was 45 and more (measured, docs/engines.md).
COLLAPSE_DB = 25.0
#: With less speech than this, levels say nothing: a cough, or a mistake of the detector.
JUDGED_SECONDS = 1.0
NO_SPEECH_SECONDS = 0.2
#: Of the speech: with more of it gone than this share, the result is as good as silent. Below, it
#: may have been rightly removed (singing, a television), so people are told, and decide.
SILENT_SHARE = 0.5
#: What is not mentioned: laughter, or mistakes of the detector.
UNMENTIONED_SECONDS = 1.0
UNMENTIONED_SHARE = 0.02
#: A result's length may differ by the padding of its codec and the rounding of its container.
LENGTH_SECONDS = 0.5
LENGTH_SHARE = 0.002


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that people should know about a result."""

    #: Stable: in metrics and logs.
    code: str
    text: str
    #: True if the result is not what was asked for; false for a property of the recording.
    bad: bool = False


def judge(facts: Verification) -> Iterator[Finding]:
    """What is wrong with a result, worst first, then what to know about the recording."""
    if not facts.playable:
        yield Finding(code="unplayable", bad=True, text=_("The result cannot be played."))
        return
    if facts.speech_seconds >= JUDGED_SECONDS:
        yield from _loss(facts)
    allowed = LENGTH_SECONDS + LENGTH_SHARE * facts.before_seconds
    if abs(facts.after_seconds - facts.before_seconds) > allowed:
        text = _("The result is not as long as the recording.")
        yield Finding(code="wrong_length", bad=True, text=text)
    if facts.speech_seconds < NO_SPEECH_SECONDS:
        text = _("No speech was found in this recording. Music and other sounds are removed.")
        yield Finding(code="no_speech", text=text)
    if facts.tracks > 1:
        text = ngettext(
            "The file has %(count)d audio track.",
            "The file has %(count)d audio tracks. Only one was denoised: the default one, or else "
            "the first.",
            facts.tracks,
        )
        yield Finding(code="several_tracks", text=text % {"count": facts.tracks})
    if facts.channels_before > 2 >= facts.channels_after:
        text = ngettext(
            "Its %(count)d channel was mixed down to stereo.",
            "Its %(count)d channels were mixed down to stereo.",
            facts.channels_before,
        )
        yield Finding(code="mixed_down", text=text % {"count": facts.channels_before})


def _loss(facts: Verification) -> Iterator[Finding]:
    share = facts.lost_seconds / facts.speech_seconds
    unmentioned = UNMENTIONED_SECONDS + UNMENTIONED_SHARE * facts.speech_seconds
    if facts.speech_before_db - facts.speech_after_db > COLLAPSE_DB or share > SILENT_SHARE:
        text = _("The result has lost the voice, or much of it.")
        yield Finding(code="silent_result", bad=True, text=text)
    elif facts.lost_seconds > unmentioned:
        text = _("The result is partly silent where somebody may be speaking in the recording.")
        yield Finding(code="partly_silent", text=text)
