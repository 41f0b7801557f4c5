"""Quality of speech in numbers: PESQ, STOI and SI-SDR."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pesq import NoUtterancesError, pesq
from pystoi import stoi

from tests.unit.engine import material
from tests.unit.engine.material import Signal

#: Hz; what wide-band PESQ is defined for.
WIDE_RATE = 16_000
#: Of narrow-band PESQ, whose scores are higher and not to be compared with the others.
NARROW_RATE = 8000


@dataclass(frozen=True, kw_only=True)
class Score:
    """Each is better when it is higher."""

    #: ITU-T P.862.2: how it sounds, 1 to 4.6.
    pesq: float
    #: Short-time objective intelligibility: how well it is understood, 0 to 1.
    stoi: float
    #: Scale-invariant signal to distortion ratio, in dB.
    si_sdr: float


def score(reference: Signal, signal: Signal, rate: int) -> Score:
    """Compare with the clean speech; 1-d each, of equal length and aligned."""
    signal = signal - signal.mean()
    narrow = rate < WIDE_RATE
    common = NARROW_RATE if narrow else WIDE_RATE
    clean = material.resample(reference[None], rate, common)[0].astype(np.float32)
    heard = material.resample(signal[None], rate, common)[0].astype(np.float32)
    # PESQ levels both itself, but reads them in steps of 16 bits.
    heard *= np.float32(0.1 / max(float(np.sqrt(np.mean(heard**2))), 1e-9))
    clean *= np.float32(0.1 / float(np.sqrt(np.mean(clean**2))))
    try:
        sounds = pesq(common, clean, heard, "nb" if narrow else "wb")
    except NoUtterancesError:
        sounds = 1.0
    return Score(
        pesq=float(sounds),
        stoi=float(stoi(clean, heard, common)),
        si_sdr=material.si_sdr(reference, signal),
    )
