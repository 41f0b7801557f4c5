"""Recordings made on the spot."""

from __future__ import annotations

import io
import math
import random
import struct
import wave


def tone_in_noise(seconds: float, rate: int = 16_000) -> bytes:
    """A WAV of a tone that comes and goes in noise; mono, 16 bit."""
    chance = random.Random(7)
    one_second = b"".join(
        struct.pack(
            "<h",
            int(
                9000 * math.sin(2 * math.pi * 220 * i / rate) * (i % (rate // 2) < rate // 4)
                + chance.uniform(-4000, 4000)
            ),
        )
        for i in range(rate)
    )
    whole = io.BytesIO()
    with wave.open(whole, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        for _ in range(math.ceil(seconds)):
            file.writeframes(one_second)
    return whole.getvalue()
