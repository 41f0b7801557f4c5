"""Clean speech of two people, and what makes recordings bad; the same at each run."""

from __future__ import annotations

import functools

import numpy as np

from tests.unit.engine import material
from tests.unit.engine.material import Signal

RATE = 48_000


@functools.cache
def speech() -> Signal:
    """8.5 s, two speakers, active level 0 dB; peaks limited, so that -10 dBFS fits."""
    other = _voices()[: int(4.5 * RATE)]
    signal = np.concatenate([_active(material.speech()), _active(other)])
    return _active(np.tanh(signal / 2))


def add(clean: Signal, noise: Signal, snr_db: float) -> Signal:
    """Noise of unit power at this distance from the active level of the speech, which is 0 dB."""
    return clean + noise * 10 ** (-snr_db / 20)


def white(count: int) -> Signal:
    return _unit(material.noise(count, 3))


def pink(count: int) -> Signal:
    spectrum = np.fft.rfft(material.noise(count, 4))
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 20 * count / RATE))
    return _unit(np.fft.irfft(spectrum, count))


def hum(count: int) -> Signal:
    """The mains at 50 Hz, with harmonics up to 1 kHz."""
    time = np.arange(count) / RATE
    parts = [np.sin(2 * np.pi * 50 * n * time + n) / n for n in range(1, 21)]
    return _unit(np.sum(parts, axis=0))


def babble(count: int) -> Signal:
    """Eight people who talk at once, none of them near; the second speaker is one of the voices."""
    voices = np.tile(_voices(), 2)
    parts = [np.roll(voices, int(1.7 * RATE) * n)[:: -1 if n % 2 else 1] for n in range(8)]
    return _unit(np.sum(parts, axis=0)[:count])


def clicks(count: int) -> Signal:
    """Keys and knocks, some seven a second."""
    random = np.random.default_rng(5)
    signal = np.zeros(count)
    decay = np.exp(-np.arange(RATE // 25) / (0.006 * RATE))
    for at in np.arange(RATE // 10, count - len(decay), RATE // 7):
        start = int(at) + int(random.integers(-2000, 2000))
        signal[start : start + len(decay)] += random.standard_normal(len(decay)) * decay
    return _unit(signal)


NOISES = {"white": white, "pink": pink, "hum": hum, "babble": babble, "clicks": clicks}


def narrowband(signal: Signal) -> Signal:
    """What a telephone leaves: 300 to 3400 Hz."""
    spectrum = np.fft.rfft(signal)
    hertz = np.fft.rfftfreq(len(signal), 1 / RATE)
    spectrum[(hertz < 300) | (hertz > 3400)] = 0
    return np.fft.irfft(spectrum, len(signal))


def clipped(signal: Signal) -> Signal:
    """Peaks cut off at a third of the way from the top."""
    limit = 0.65 * np.abs(signal).max()
    return np.clip(signal, -limit, limit)


def reverberant(signal: Signal) -> Signal:
    """A room that rings for 0.6 s, at some distance."""
    time = np.arange(int(0.8 * RATE)) / RATE
    tail = material.noise(len(time), 6) * 10 ** (-3 * time / 0.6) * 0.02
    tail[0] = 1.0
    size = len(signal) + len(tail)
    wet = np.fft.irfft(np.fft.rfft(signal, size) * np.fft.rfft(tail, size), size)
    return wet[: len(signal)]


@functools.cache
def _voices() -> Signal:
    signal, rate = material.decode(material.DATA / "voices.flac")
    return material.resample(signal, rate, RATE)[0]


def _active(signal: Signal) -> Signal:
    """Scaled so that the frames within 30 dB of the loudest have unit power."""
    frames = signal[: len(signal) // 960 * 960].reshape(-1, 960)
    power = (frames**2).mean(axis=1)
    scaled: Signal = signal / np.sqrt(power[power > power.max() * 1e-3].mean())
    return scaled


def _unit(signal: Signal) -> Signal:
    scaled: Signal = signal / np.sqrt(np.mean(signal**2))
    return scaled
