"""Every sample format and layout becomes the same float samples; what is not a number does not."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from denoise_relay.engine.child.container import Source, audio_stream, open_container
from denoise_relay.engine.child.decode import Block, decode, joined, to_block
from denoise_relay.engine.child.pipeline import denoise_file, largest_result_bytes
from denoise_relay.engine.errors import MediaRejected
from denoise_relay.engine.protocol import Probe
from tests.unit.engine import material

RAMP = np.array([-1.0, -0.5, 0.0, 0.25, 0.5])
WIDTHS = {"u8": (np.uint8, 7, 128), "s16": (np.int16, 15, 0), "s32": (np.int32, 31, 0)}


def frame(samples: np.ndarray, format: str, layout: str, rate: int = 8000) -> av.AudioFrame:
    made = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format, layout)
    made.sample_rate = rate
    return made


@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("format", WIDTHS)
def test_integers_are_scaled_to_one(format: str, planar: bool) -> None:
    kind, bits, middle = WIDTHS[format]
    stereo = np.stack([RAMP, RAMP / 2])
    integers = (stereo * 2**bits + middle).astype(kind)
    made = (
        frame(integers, f"{format}p", "stereo")
        if planar
        else frame(integers.T.reshape(1, -1), format, "stereo")
    )
    block = to_block(made)
    assert block.rate == 8000
    assert block.samples.dtype == np.float32
    assert np.allclose(block.samples, stereo, atol=2.0**-7)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_what_is_not_a_number_becomes_silence_and_infinity_is_bounded(kind: type) -> None:
    odd = np.array([[0.5, np.nan, np.inf, -np.inf, 1e30]], kind)
    samples = to_block(frame(odd, "flt" if kind is np.float32 else "dbl", "mono")).samples
    assert samples.tolist() == [[0.5, 0.0, 8.0, -8.0, 8.0]]


def test_a_float_wav_with_nonsense_in_it_decodes_to_numbers(tmp_path: Path) -> None:
    signal = material.speech(44_100)[:4410].copy()
    signal[100], signal[200] = np.nan, np.inf
    path = material.make(tmp_path, "f32.wav", signal)
    with open(path, "rb") as file, open_container(Source(file)) as container:
        blocks = list(decode(container, audio_stream(container)))
    samples = np.concatenate([block.samples for block in blocks], axis=1)
    assert samples.shape == (1, 4410)
    assert np.isfinite(samples).all()


def test_a_downmix_keeps_sides_apart_and_cannot_clip() -> None:
    surround = np.zeros((6, 4), np.float32)
    surround[0] = 1.0  # front left
    left, right = to_block(frame(surround, "fltp", "5.1")).samples
    assert left.min() > 0.3
    assert np.abs(right).max() == 0
    full = to_block(frame(np.ones((6, 4), np.float32), "fltp", "5.1")).samples
    assert np.abs(full).max() <= 1.0


@pytest.mark.parametrize("rate", [50, 2999, 768_001])
def test_a_rate_out_of_range_is_refused(rate: int) -> None:
    with pytest.raises(MediaRejected) as caught:
        to_block(frame(RAMP[None].astype(np.float32), "flt", "mono", rate))
    assert caught.value.code == "unsupported"


def facts(seconds: float) -> Probe:
    return Probe(
        duration_seconds=seconds,
        sample_rate=44_100,
        channels=1,
        codec="pcm_s16le",
        container="wav",
        has_video=False,
    )


def test_a_track_longer_than_announced_is_not_followed_for_ever(tmp_path: Path) -> None:
    source = material.make(tmp_path, "s16.wav", np.zeros(44_100 * 12))
    with pytest.raises(MediaRejected) as caught:
        denoise_file(
            source,
            tmp_path / "out.flac",
            probe=facts(1.0),
            on_progress=lambda share: None,
            on_writing=lambda: None,
        )
    assert caught.value.code == "unsupported"


def test_the_bound_on_the_result_holds_for_noise(tmp_path: Path) -> None:
    """White noise at full scale does not compress: no result is larger."""
    noise = np.clip(material.noise(44_100 * 4), -1, 1)
    flac = material.make(tmp_path, "a.flac", noise)  # 24 bits, as a quiet result has
    assert flac.stat().st_size < largest_result_bytes(facts(4.0)) < 4_000_000


def test_joined_blocks_are_the_same_track_in_larger_blocks() -> None:
    """A step costs the same for 20 ms as for half a second; what it hears stays the same."""
    random = np.random.default_rng(0)
    kinds = [(48_000, 1)] * 60 + [(44_100, 1)] * 3 + [(44_100, 2)] * 60
    blocks = [
        Block(samples=random.standard_normal((channels, 1024)).astype(np.float32), rate=rate)
        for rate, channels in kinds
    ]

    together = list(joined(blocks))

    assert [(block.rate, block.samples.shape) for block in together] == [
        (48_000, (1, 24_576)),
        (48_000, (1, 24_576)),
        (48_000, (1, 12_288)),
        (44_100, (1, 3_072)),
        (44_100, (2, 22_528)),
        (44_100, (2, 22_528)),
        (44_100, (2, 16_384)),
    ]
    for channels in (1, 2):
        before, after = (
            [block.samples for block in side if len(block.samples) == channels]
            for side in (blocks, together)
        )
        assert np.array_equal(np.concatenate(before, axis=1), np.concatenate(after, axis=1))
    assert list(joined([])) == []
