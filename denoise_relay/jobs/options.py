"""What people choose for the result of a job: how much noise may go, and how loud it becomes.

The worker applies both to the result of any backend (`engine.render`), so they are offered where
the engine is installed and results are stored here. Error messages are for the person who chose.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, TypedDict

from django.utils.translation import gettext as _

from denoise_relay import engine
from denoise_relay.conf import relay_settings
from denoise_relay.events import clean_text
from denoise_relay.exceptions import UploadRejected
from denoise_relay.models import Job

#: Names of the columns of `Job`, and of the fields in forms and in the API.
STRENGTH: Final = "max_attenuation_db"
LOUDNESS: Final = "loudness_lufs"
#: dB. With less one would hear no difference.
LEAST_ATTENUATION_DB: Final = 3.0
#: dB. From here on nothing audible stays: the same as no limit.
UNLIMITED_DB: Final = 100.0
#: LUFS. Published targets lie between these two.
QUIETEST_LUFS: Final = -31.0
LOUDEST_LUFS: Final = -9.0

#: `UploadRejected.code`.
CODE: Final = "bad_option"
_RANGES: Final = {
    STRENGTH: (LEAST_ATTENUATION_DB, UNLIMITED_DB),
    LOUDNESS: (QUIETEST_LUFS, LOUDEST_LUFS),
}
#: Characters of a wrong value that are shown.
_SHOWN = 32
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,4}(\.[0-9]{1,4})?")


class Columns(TypedDict):
    """The columns of `Job`, and the arguments of `jobs.actions.asubmit`."""

    max_attenuation_db: float | None
    loudness_lufs: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What was chosen for one job."""

    #: dB by which noise is lowered at the most; None: all that can be removed is removed.
    max_attenuation_db: float | None = None
    #: Integrated loudness of the result (ITU-R BS.1770); None: as it comes.
    loudness_lufs: float | None = None

    @property
    def chosen(self) -> bool:
        """Whether anything is changed about the result."""
        return self != Options()

    def columns(self) -> Columns:
        return Columns(max_attenuation_db=self.max_attenuation_db, loudness_lufs=self.loudness_lufs)


def offered() -> bool:
    """Whether jobs may have options here. Cheap."""
    return relay_settings().STORE_RESULTS and engine.available()


def of(job: Job) -> Options:
    """The options of a job."""
    return Options(max_attenuation_db=job.max_attenuation_db, loudness_lufs=job.loudness_lufs)


def kept(job: Job, changed: Options | None) -> Options:
    """The options of a repetition of a job: `changed`, else its own, as long as they are offered.

    Raises `UploadRejected` as `validated` does.
    """
    if changed is not None:
        return validated(changed)
    return of(job) if offered() else Options()


def parsed(max_attenuation_db: str, loudness_lufs: str) -> Options:
    """The options that texts of a form or a command ask for; "" chooses nothing.

    Raises `UploadRejected` as `validated` does, and for a text that is no number.
    """
    return validated(
        Options(
            max_attenuation_db=_number(max_attenuation_db, STRENGTH),
            loudness_lufs=_number(loudness_lufs, LOUDNESS),
        )
    )


def validated(options: Options) -> Options:
    """The options as a job has them: a limit that limits nothing is None.

    Raises `UploadRejected` with the code `bad_option` if a value is out of range, or if options
    are not offered here.
    """
    strength, loudness = options.max_attenuation_db, options.loudness_lufs
    if strength is not None and not strength >= LEAST_ATTENUATION_DB:
        raise _refused(STRENGTH, f"{strength:g}")
    if loudness is not None and not QUIETEST_LUFS <= loudness <= LOUDEST_LUFS:
        raise _refused(LOUDNESS, f"{loudness:g}")
    if strength is not None and strength >= UNLIMITED_DB:
        strength = None
    found = Options(max_attenuation_db=strength, loudness_lufs=loudness)
    if found.chosen and not offered():
        text = _("Strength and loudness cannot be chosen here. Send it without them.")
        raise UploadRejected(text, code=CODE)
    return found


def _number(text: str, name: str) -> float | None:
    if not text:
        return None
    # Not all that `float` takes: no names, no digits of other scripts, no exponents.
    if not _NUMBER.fullmatch(text):
        raise _refused(name, text)
    return float(text)


def _refused(name: str, value: str) -> UploadRejected:
    text = (
        _("“%(value)s” is no strength: %(least)d to %(most)d dB, and %(most)d removes all noise.")
        if name == STRENGTH
        else _("“%(value)s” is no loudness: %(least)d to %(most)d LUFS.")
    )
    least, most = _RANGES[name]
    shown = clean_text(value, limit=_SHOWN)
    return UploadRejected(text % {"value": shown, "least": least, "most": most}, code=CODE)
