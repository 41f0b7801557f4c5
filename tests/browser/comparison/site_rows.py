"""Rows of a site, made by its own `manage.py shell`: staff, and a comparison of recordings."""

from __future__ import annotations

import io
import wave

import numpy as np
from django.contrib.auth.models import User
from django.test import Client

from denoise_relay.models import Comparison
from tests.db.comparison.listening import BEST, FAST, again
from tests.db.factories import finish, stored_job
from tests.live.recordings import tone_in_noise

#: Of the clean recordings: the first variant is as much louder.
LOUDER_DB = 6.0


def create(recordings: int) -> None:
    """Create the superuser `root` and a comparison; print its id and the user's session key."""
    root = User.objects.create_superuser("root")
    client = Client()
    client.force_login(root)
    made = Comparison.objects.create(
        title="Which one?",
        first_backend=BEST.backend,
        first_preset=BEST.preset,
        second_backend=FAST.backend,
        second_preset=FAST.preset,
    )
    original = tone_in_noise(4)
    quiet = _scaled(original, 0.4)
    loud = _scaled(original, 0.4 * 10 ** (LOUDER_DB / 20))
    for n in range(1, recordings + 1):
        first = stored_job(
            original, file_name=f"talk {n}.wav", backend=BEST.backend, preset=BEST.preset
        )
        finish(first, loud, suffix="wav")
        second = again(first, FAST, quiet)
        made.items.create(file_name=first.file_name, first=first, second=second)
    print(made.pk, client.session.session_key)  # noqa: T201


def _scaled(content: bytes, gain: float) -> bytes:
    """A mono WAV of 16 bits, made quieter or louder."""
    with wave.open(io.BytesIO(content)) as source:
        parameters, frames = source.getparams(), source.readframes(source.getnframes())
    samples = np.frombuffer(frames, "<i2").astype(np.float64) * gain
    whole = io.BytesIO()
    with wave.open(whole, "wb") as target:
        target.setparams(parameters)
        target.writeframes(samples.clip(-32768, 32767).astype("<i2").tobytes())
    return whole.getvalue()
