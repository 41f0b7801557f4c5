"""Recordings for tests, made when they are needed."""

from __future__ import annotations

import io
import math
import random
import struct
import wave
from pathlib import Path

MIB = 1024 * 1024


def tone(seconds: float) -> bytes:
    """A WAV of a soft tone; mono, 48 kHz, 16 bits."""
    period = (round(3000 * math.sin(2 * math.pi * i / 100)) for i in range(100))
    return _mono_wav(48_000, struct.pack("<100h", *period) * round(480 * seconds))


def tone_in_noise(seconds: float, rate: int = 16_000) -> bytes:
    """A WAV of a tone that comes and goes in noise, in whole seconds; mono, 16 bits."""
    chance = random.Random(7)
    samples = (
        int(
            9000 * math.sin(2 * math.pi * 220 * i / rate) * (i % (rate // 2) < rate // 4)
            + chance.uniform(-4000, 4000)
        )
        for i in range(rate)
    )
    return _mono_wav(rate, struct.pack(f"<{rate}h", *samples) * math.ceil(seconds))


def noise(seconds: int) -> bytes:
    """A WAV of noise, which keeps the engine busy for a while; mono, 48 kHz, 16 bits."""
    chance = random.Random(1)
    second = struct.pack("<48000h", *(chance.randrange(-9000, 9000) for _ in range(48_000)))
    return _mono_wav(48_000, second * seconds)


def random_wav(path: Path, size: int) -> Path:
    """Write a WAV of `size` bytes in which no two parts are alike; stereo, 48 kHz, 32 bits."""
    data = size - 44
    form = struct.pack("<HHIIHH", 1, 2, 48_000, 48_000 * 8, 8, 32)
    with path.open("wb") as file:
        file.write(b"RIFF" + struct.pack("<I", size - 8) + b"WAVE")
        file.write(b"fmt " + struct.pack("<I", len(form)) + form)
        file.write(b"data" + struct.pack("<I", data))
        for start in range(0, data, MIB):
            file.write(random.Random(start).randbytes(min(MIB, data - start)))
    return path


def _mono_wav(rate: int, samples: bytes) -> bytes:
    whole = io.BytesIO()
    with wave.open(whole, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples)
    return whole.getvalue()


#: Half a second of silence: enough where the upstream does the work.
SHORT = tone(0.5)
