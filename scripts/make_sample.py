"""Makes the sample recording of the upload page, and the clean voices of the engine's tests.

Needs the program espeak-ng and the packages of `denoise-relay[local]`:

    python scripts/make_sample.py

The files are ours to give away under the project's licence: the texts are our own, the voices are
espeak-ng's synthesiser (whose output its licence does not cover), the noise is computed here.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import numpy.typing as npt
from av.audio.stream import AudioStream

ROOT = Path(__file__).resolve().parent.parent
#: MP3, since it is the one compressed format that every browser plays, old Safari and Chromium
#: without licensed codecs included.
SAMPLE = ROOT / "denoise_relay/static/denoise_relay/sample.mp3"
SPEECH = ROOT / "tests/unit/engine/data/speech.flac"
SPEECH_SECONDS = 4.0
VOICES = ROOT / "tests/unit/engine/data/voices.flac"

RATE = 48_000
SNR_DB = 4.0
PEAK = 0.8
TEXT = (
    "You hear a fan, a room, and somebody typing. "
    "My voice is somewhere in the middle of it. "
    "Press the button, and in a few seconds, only the voice will be left."
)
#: Voice and text: a second speaker for the tests, and people who talk in the background.
OTHER_VOICES = (
    ("en-us+f3", "The meeting starts at nine, and the room on the left is free."),
    ("en-gb+m3", "Please send me the second recording before the end of the week."),
    ("en-us+f5", "Nobody had told her that the last train was already gone."),
)

Signal = npt.NDArray[np.float64]


def main() -> None:
    speech = speak(TEXT)
    noise = fan(len(speech)) + 0.8 * pink(len(speech)) + keystrokes(len(speech))
    noise *= rms(speech) / rms(noise) * 10 ** (-SNR_DB / 20)
    mixed = speech + noise
    write(SAMPLE, PEAK * mixed / np.abs(mixed).max(), RATE, "mp3", "mp3", bit_rate=128_000)
    clean = resample(PEAK * speech / np.abs(speech).max(), RATE, 24_000)
    clean = clean[: int(SPEECH_SECONDS * 24_000)]
    write(SPEECH, clean, 24_000, "flac", "flac", compression_level="12")
    others = np.concatenate([speak(text, voice) for voice, text in OTHER_VOICES])
    others = resample(PEAK * others / np.abs(others).max(), RATE, 16_000)
    write(VOICES, others, 16_000, "flac", "flac", compression_level="12")


def speak(text: str, voice: str = "en-us") -> Signal:
    """Speech at 48 kHz with half a second of room before and after it."""
    program = shutil.which("espeak-ng")
    if program is None:
        sys.exit("espeak-ng is not installed. Install it (Debian: apt install espeak-ng).")
    command = [program, "-v", voice, "-s", "155", "-p", "45", "--stdout", text]
    wav = subprocess.run(command, check=True, capture_output=True, timeout=60).stdout  # noqa: S603
    with av.open(io.BytesIO(wav), "r") as container:
        frames = list(container.decode(audio=0))
    voice = np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames]) / 32768.0
    silence = np.zeros(RATE // 2)
    return np.concatenate([silence, resample(voice, frames[0].sample_rate, RATE), silence])


def fan(count: int) -> Signal:
    """The hum of a motor and the beat of its blades."""
    t = np.arange(count) / RATE
    turning = 1 + 0.15 * np.sin(2 * np.pi * 0.7 * t)
    hum: Signal = sum(
        (np.sin(2 * np.pi * 118 * n * t + n) / n**1.2 for n in range(1, 12)), np.zeros(count)
    )
    return turning * hum / rms(hum)


def pink(count: int) -> Signal:
    """Noise with equal power in each octave: a room with its ventilation."""
    spectrum = np.fft.rfft(_random(1).standard_normal(count))
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 20 * count / RATE))
    noise = np.fft.irfft(spectrum, count)
    return noise / rms(noise)


def keystrokes(count: int) -> Signal:
    """Keystrokes: short dull knocks, some seven a second, now and then a pause."""
    random = _random(2)
    keys = np.zeros(count)
    decay = np.exp(-np.arange(RATE // 25) / (0.006 * RATE))
    at = RATE // 5
    while at + len(decay) < count:
        knock = np.convolve(random.standard_normal(len(decay)), np.ones(4) / 4, "same") * decay
        keys[at : at + len(decay)] += random.uniform(4, 9) * knock
        at += int(RATE * random.choice([0.09, 0.13, 0.17, 0.6], p=[0.3, 0.35, 0.25, 0.1]))
    return keys


def rms(signal: Signal) -> float:
    return float(np.sqrt(np.mean(signal**2)))


def resample(signal: Signal, rate: int, new_rate: int) -> Signal:
    resampler = av.AudioResampler(format="dbl", layout="mono", rate=new_rate)
    frame = av.AudioFrame.from_ndarray(signal[None], "dbl", "mono")
    frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
    frames = [*resampler.resample(frame), *resampler.resample(None)]
    return np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames]).astype(np.float64)


def write(
    path: Path,
    signal: Signal,
    rate: int,
    container_format: str,
    codec: str,
    *,
    bit_rate: int = 0,
    **options: Any,
) -> None:
    """Encode a mono signal, and say how large it became."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format=container_format) as container:
        added = container.add_stream(codec, rate=rate, layout="mono", options=options)
        stream = cast(AudioStream, added)
        if bit_rate:
            stream.bit_rate = bit_rate
        samples = np.rint(np.clip(signal, -1, 1) * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(samples[None], "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    sys.stdout.write(
        f"{path.relative_to(ROOT)}: {path.stat().st_size / 1000:.0f} kB, "
        f"{len(signal) / rate:.1f} s\n"
    )


def _random(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


if __name__ == "__main__":
    main()
