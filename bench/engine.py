"""The local engine: how many times real time, and how much nearer to the clean voice."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from denoise_relay import engine

RATE = 48_000
NOISE_DBS = (0.0, 5.0)
REPEATS = 8
SPEECH = Path(__file__).resolve().parent.parent / "tests/unit/engine/data/speech.flac"


def run() -> None:
    """Denoise speech that we made, with noise that we add, and print what came of it."""
    # Long enough that the child's start, about half a second, counts for little.
    clean = np.tile(_read(SPEECH), REPEATS)
    print(f"\nEngine: {len(clean) / RATE:.1f} s of synthetic speech, mono, 48 kHz")
    print(f"{'SNR dB':>8}{'SI-SDR before':>16}{'after':>8}{'x real time':>14}")
    for snr in NOISE_DBS:
        noisy = clean + _noise(len(clean)) * _gain(clean, snr)
        with tempfile.TemporaryDirectory(prefix="denoise-bench-") as folder:
            source, target = Path(folder, "noisy.wav"), Path(folder, "denoised.flac")
            _write(source, noisy)
            begun = time.monotonic()
            asyncio.run(engine.denoise(source, target, on_progress=lambda _pct, _message: None))
            seconds = time.monotonic() - begun
            denoised = _read(target)
        print(
            f"{snr:8.0f}{_si_sdr(clean, noisy):16.1f}{_si_sdr(clean, denoised):8.1f}"
            f"{len(clean) / RATE / seconds:14.1f}"
        )


def _noise(samples: int) -> npt.NDArray[np.float32]:
    """Pink-ish noise and a hum, of unit power, the same at each run."""
    random = np.random.default_rng(7)
    spectrum = np.fft.rfft(random.standard_normal(samples))
    spectrum /= np.maximum(np.sqrt(np.arange(len(spectrum))), 1)
    noise = np.fft.irfft(spectrum, samples)
    noise /= noise.std()
    noise += 0.3 * np.sin(2 * np.pi * 100 * np.arange(samples) / RATE)
    return np.asarray(noise / noise.std(), np.float32)


def _gain(clean: npt.NDArray[np.float32], snr: float) -> float:
    return float(clean.std() / 10 ** (snr / 20))


def _si_sdr(reference: npt.NDArray[np.float32], estimate: npt.NDArray[np.float32]) -> float:
    """Scale-invariant signal-to-distortion ratio in dB (Le Roux et al., 2019)."""
    length = min(len(reference), len(estimate))
    reference, estimate = reference[:length], estimate[:length]
    target = reference * (np.dot(estimate, reference) / np.dot(reference, reference))
    return float(10 * np.log10(np.sum(target**2) / np.sum((estimate - target) ** 2)))


def _read(path: Path) -> npt.NDArray[np.float32]:
    with av.open(path) as container:
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=RATE)
        frames = [f for frame in container.decode(audio=0) for f in resampler.resample(frame)]
        frames += resampler.resample(None)
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])


def _write(path: Path, samples: npt.NDArray[np.float32]) -> None:
    with av.open(path, "w") as container:
        stream = container.add_stream("pcm_f32le", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None].astype(np.float32), "flt", "mono")
        frame.sample_rate = RATE
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
