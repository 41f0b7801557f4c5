"""A recording and its clean version whose parts a spectrum tells apart."""

from __future__ import annotations

import io
import math
import struct
import wave

RATE = 16_000
#: For each tone.
AMPLITUDE = 8000


def tones(seconds: int, *hertz: int) -> bytes:
    """A WAV of pure tones of whole frequencies, all equally loud; mono, 16 kHz, 16 bits."""
    second = [
        round(sum(AMPLITUDE * math.sin(2 * math.pi * each * i / RATE) for each in hertz))
        for i in range(RATE)
    ]
    whole = io.BytesIO()
    with wave.open(whole, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(struct.pack(f"<{RATE}h", *second) * seconds)
    return whole.getvalue()
