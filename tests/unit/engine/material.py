"""Audio to test with, made on the spot, and the measures that tests apply to results."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

Signal = npt.NDArray[np.float64]  # shape (channels, samples), or (samples,) where said

DATA = Path(__file__).parent / "data"
LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}


@dataclass(frozen=True, kw_only=True)
class Format:
    """One kind of file that people send."""

    name: str
    container: str
    codec: str
    rate: int = 44_100
    channels: int = 1
    video: str | None = None
    lossless: bool = False
    options: dict[str, str] = field(default_factory=dict)


EXPERIMENTAL = {"strict": "experimental"}
FORMATS = [
    Format(name="u8.wav", container="wav", codec="pcm_u8"),
    Format(name="s16.wav", container="wav", codec="pcm_s16le", lossless=True),
    Format(name="s24.wav", container="wav", codec="pcm_s24le", lossless=True),
    Format(name="f32.wav", container="wav", codec="pcm_f32le", lossless=True),
    Format(name="f64.wav", container="wav", codec="pcm_f64le", lossless=True),
    Format(name="a.mp3", container="mp3", codec="mp3"),
    Format(name="aac.m4a", container="ipod", codec="aac"),
    Format(name="alac.m4a", container="ipod", codec="alac", lossless=True),
    Format(name="a.flac", container="flac", codec="flac", lossless=True),
    Format(name="vorbis.ogg", container="ogg", codec="vorbis", channels=2, options=EXPERIMENTAL),
    Format(name="opus.ogg", container="ogg", codec="libopus", rate=48_000),
    Format(name="a.aac", container="adts", codec="aac"),
    Format(name="a.mp4", container="mp4", codec="aac", video="mpeg4"),
    Format(name="a.m4v", container="mp4", codec="aac", video="mpeg4"),
    Format(name="a.mov", container="mov", codec="pcm_s16be", video="mpeg4", lossless=True),
    Format(name="a.mkv", container="matroska", codec="aac", video="mpeg4"),
    Format(name="flac.mkv", container="matroska", codec="flac", lossless=True),
    Format(name="a.webm", container="webm", codec="libopus", rate=48_000, video="libvpx"),
    Format(name="a.avi", container="avi", codec="mp3", video="mpeg4"),
]
BY_NAME = {format.name: format for format in FORMATS}


@functools.cache
def speech(rate: int = 48_000) -> Signal:
    """4 s of clean speech, shape (samples,), within ±0.8."""
    signal, own_rate = decode(DATA / "speech.flac")
    return resample(signal, own_rate, rate)[0]


def noise(count: int, seed: int = 0) -> Signal:
    return np.random.default_rng(seed).standard_normal(count)


def mix(clean: Signal, snr_db: float, seed: int = 0) -> Signal:
    """`clean` in white noise, scaled so as not to clip."""
    hiss = noise(len(clean), seed)
    hiss *= np.sqrt(np.mean(clean**2) / np.mean(hiss**2)) * 10 ** (-snr_db / 20)
    mixed: Signal = clean + hiss
    return mixed * (0.9 / np.abs(mixed).max())


def make(
    folder: Path, name: str, signal: Signal, *, rate: int | None = None, **changes: Any
) -> Path:
    """Write `signal`, at the format's rate unless told otherwise, into a file of that format."""
    return encode(folder / name, BY_NAME[name], signal, rate=rate, **changes)


def encode(
    path: Path, format: Format, signal: Signal, *, rate: int | None = None, target: Any = None
) -> Path:
    signal = np.atleast_2d(signal)
    rate = rate or format.rate
    layout = LAYOUTS[len(signal)]
    with av.open(target or str(path), "w", format=format.container) as container:
        video: Any = None
        if format.video:
            video = container.add_stream(format.video, rate=25)
            video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio: Any = container.add_stream(format.codec, rate=rate, layout=layout)
        audio.options = format.options
        if video:
            for index in range(max(signal.shape[1] * 25 // rate, 1)):
                picture = av.VideoFrame.from_ndarray(
                    np.full((72, 64), index % 256, np.uint8), "yuv420p"
                )
                picture.pts, picture.time_base = index, Fraction(1, 25)
                container.mux(video.encode(picture))
            container.mux(video.encode(None))
        block = 1024
        for start in range(0, signal.shape[1], block):
            samples = np.ascontiguousarray(signal[:, start : start + block], np.float32)
            frame = av.AudioFrame.from_ndarray(samples, "fltp", layout)
            frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
            container.mux(audio.encode(frame))
        container.mux(audio.encode(None))
    return path


def decode(path: Path) -> tuple[Signal, int]:
    """All samples as FFmpeg decodes them, and their rate."""
    with av.open(str(path)) as container:
        to_double = av.AudioResampler(format="dblp")
        frames: list[Any] = list(container.decode(audio=0))
        rate = frames[0].sample_rate
        parts = [part.to_ndarray() for frame in frames for part in to_double.resample(frame)]
    return np.concatenate(parts, axis=1), rate


def resample(signal: Signal, rate: int, new_rate: int) -> Signal:
    if rate == new_rate:
        return signal
    resampler = av.AudioResampler(format="dblp", rate=new_rate)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(signal), "dblp", LAYOUTS[len(signal)])
    frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
    parts = [part.to_ndarray() for part in [*resampler.resample(frame), *resampler.resample(None)]]
    return np.concatenate(parts, axis=1).astype(np.float64)


def lag(reference: Signal, signal: Signal) -> float:
    """By how many samples `signal` comes after `reference`, by cross-correlation; 1-d each."""
    size = 1 << (len(reference) + len(signal)).bit_length()
    spectrum = np.fft.rfft(signal, size) * np.conj(np.fft.rfft(reference, size))
    correlation = np.fft.irfft(spectrum, size)
    peak = int(np.argmax(correlation))
    before, at, after = correlation[peak - 1], correlation[peak], correlation[(peak + 1) % size]
    whole = peak if peak < size // 2 else peak - size
    return float(whole + 0.5 * (before - after) / (before - 2 * at + after))


def si_sdr(reference: Signal, signal: Signal) -> float:
    """Scale-invariant signal to distortion ratio in dB; 1-d each, of equal length."""
    wanted = reference * (signal @ reference) / (reference @ reference)
    return float(10 * np.log10(np.sum(wanted**2) / np.sum((signal - wanted) ** 2)))
