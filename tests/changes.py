"""What a service may do to a recording besides its work: other levels, other delays."""

from __future__ import annotations

import io
import wave

import av
import numpy as np


def softer_and_later(content: bytes, *, gain: float = 0.7, delay: int = 37) -> bytes:
    """The recording as WAV, mono with 16 bits, at its own rate."""
    with av.open(io.BytesIO(content)) as container:
        to_float = av.AudioResampler(format="fltp", layout="mono")
        frames = list(container.decode(audio=0))
        rate = frames[0].sample_rate
        parts = [part.to_ndarray() for frame in frames for part in to_float.resample(frame)]
    samples = np.concatenate(parts, axis=1)[0] * gain
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(bytes(2 * delay) + np.rint(samples * 32767).astype("<i2").tobytes())
    return buffer.getvalue()
