"""Colours spectrograms and writes them as pictures."""

from __future__ import annotations

import os
from typing import Any, Final

import av
import numpy as np
import numpy.typing as npt

#: The colours in OKLab (lightness, green to red, blue to yellow), from nothing to the loudest.
#: Lightness rises evenly, and hue goes from blue to yellow, the axis that colour-blind eyes have.
_COLOURS: Final = (
    (0.13, 0.000, -0.030),
    (0.30, 0.030, -0.125),
    (0.47, 0.115, -0.095),
    (0.64, 0.130, 0.045),
    (0.81, 0.045, 0.135),
    (0.98, -0.030, 0.080),
)
#: From OKLab to the cube roots of cone responses, and from those to linear sRGB (Ottosson, 2020).
_TO_CONES: Final = (
    (1.0, 0.3963377774, 0.2158037573),
    (1.0, -0.1055613458, -0.0638541728),
    (1.0, -0.0894841775, -1.2914855480),
)
_TO_RGB: Final = (
    (4.0767416621, -3.3077115913, 0.2309699292),
    (-1.2684380046, 2.6097574011, -0.3413193965),
    (-0.0041960863, -0.7034186147, 1.7076147010),
)
#: dB from the loudest colour to the darkest.
_RANGE_DB: Final = 80.0
#: dB. What is quieter than this stays dark, and is not made bright.
_LEAST_TOP_DB: Final = -60.0
#: Share of the picture that may be louder than the scale.
_ABOVE: Final = 0.0005
#: Tried in turn, until a picture is small enough.
_QUALITIES: Final = (80, 65, 50, 30, 10)
LARGEST_BYTES: Final = 120_000

_Powers = npt.NDArray[np.float32]  # shape (columns, rows)
_Pixels = npt.NDArray[np.uint8]


def top_of_scale(*spectrograms: _Powers) -> float:
    """The dB of the brightest colour, for all of them."""
    tops = [float(np.quantile(powers, 1 - _ABOVE)) for powers in spectrograms]
    return max(_db(np.float64(max(tops))).item(), _LEAST_TOP_DB)


def write_picture(target: str | os.PathLike[str], powers: _Powers, *, top_db: float) -> None:
    """Write a spectrogram (low frequencies at the bottom) as WebP, of at most 120 kB."""
    shares = (_db(powers.T[::-1]) - top_db) / _RANGE_DB + 1
    indices = np.clip(np.rint(shares * 255), 0, 255).astype(np.uint8)
    pixels = np.ascontiguousarray(colour_map()[indices])
    for quality in _QUALITIES:
        _encode(target, pixels, quality)
        if os.stat(target).st_size <= LARGEST_BYTES:
            return


def colour_map() -> _Pixels:
    """256 colours, shape (256, 3): red, green, blue."""
    points = np.array(_COLOURS)
    at = np.linspace(0, len(points) - 1, 256)
    lab = np.stack([np.interp(at, np.arange(len(points)), column) for column in points.T], axis=1)
    linear = np.clip((lab @ np.array(_TO_CONES).T) ** 3 @ np.array(_TO_RGB).T, 0.0, 1.0)
    curved = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(curved * 255), np.uint8)


def _encode(target: str | os.PathLike[str], pixels: _Pixels, quality: int) -> None:
    with av.open(os.fspath(target), "w", format="webp") as container:
        stream: Any = container.add_stream("libwebp", rate=1)
        stream.height, stream.width = pixels.shape[:2]
        stream.pix_fmt = "bgra"
        stream.options = {"quality": str(quality), "preset": "none", "compression_level": "4"}
        frame = av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(format="bgra")
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _db(powers: Any) -> npt.NDArray[np.float64]:
    return np.asarray(10 * np.log10(np.maximum(powers, 1e-20)))
