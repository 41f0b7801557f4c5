"""Recordings as devices and programs write them: kinds of files, made on the spot in milliseconds.

Names end as those programs end them. Contents are a second of a tone, which no test takes for
silence, and pictures where the device films.
"""

from __future__ import annotations

import functools
import tempfile
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

SECONDS = 1.2
LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}
EXPERIMENTAL = {"strict": "experimental"}


@dataclass(frozen=True)
class Kind:
    """One kind of file: who writes it is in `by`."""

    name: str
    by: str
    #: FFmpeg's names.
    muxer: str
    codec: str
    rate: int = 44_100
    channels: int = 1
    video: str = ""
    #: Audio tracks.
    tracks: int = 1
    bit_rate: int = 0
    #: The sample format of an encoder that has several.
    samples: str = ""
    options: dict[str, str] = field(default_factory=dict)
    codec_options: dict[str, str] = field(default_factory=dict)
    #: Written to a pipe: no length in the header.
    live: bool = False
    #: By the contract's list, an upstream takes it as it is, or under the name that fits it.
    as_it_is: bool = False


def _opus(name: str, by: str, **more: Any) -> Kind:
    return Kind(name, by, "ogg", "libopus", **{"rate": 48_000} | more)


def _wav(name: str, by: str, codec: str, **more: Any) -> Kind:
    return Kind(name, by, "wav", codec, as_it_is=True, **more)


def _phone(name: str, by: str, muxer: str, **more: Any) -> Kind:
    return Kind(name, by, muxer, "libopencore_amrnb", rate=8000, bit_rate=12_200, **more)


#: By what the contract's list has, and has not.
KINDS: tuple[Kind, ...] = (
    # Messengers
    _opus("voice-note.opus", "WhatsApp", rate=16000, as_it_is=True),
    _opus("voice-note.oga", "Telegram", as_it_is=True),
    _opus("voice-note.ogg", "the same, renamed", as_it_is=True),
    Kind("signal.aac", "Signal", "adts", "aac"),
    Kind("imessage.caf", "iMessage", "caf", "adpcm_ima_qt"),
    # Phones
    _phone("old.amr", "old Androids", "amr"),
    _phone("call.3gp", "call recorders", "3gp"),
    _phone("clip.3gp", "old phones, filming", "3gp", video="h263"),
    _phone("call.3g2", "CDMA phones", "3g2"),
    Kind("modern.3gp", "Androids", "3gp", "aac", as_it_is=True),
    Kind("memo.m4a", "iPhones", "ipod", "aac", as_it_is=True),
    Kind("lossless.m4a", "iPhones, lossless", "ipod", "alac", as_it_is=True),
    Kind("film.mov", "iPhones", "mov", "aac", video="mpeg4", as_it_is=True),
    Kind("film.mp4", "Androids", "mp4", "aac", video="mpeg4", as_it_is=True),
    Kind("film.m4v", "iTunes", "mp4", "aac", video="mpeg4", as_it_is=True),
    # Books, podcasts, music
    Kind("book.m4b", "audio books", "ipod", "aac", as_it_is=True),
    Kind("cast.mp3", "podcasts", "mp3", "libmp3lame", as_it_is=True),
    Kind("half-rate.mp3", "old players", "mp3", "libmp3lame", rate=22050, as_it_is=True),
    Kind("old.mp2", "broadcasters", "mp2", "mp2", rate=48000),
    Kind(
        "vorbis.ogg",
        "Audacity",
        "ogg",
        "vorbis",
        channels=2,
        codec_options=EXPERIMENTAL,
        as_it_is=True,
    ),
    Kind("flac.oga", "Wikimedia", "ogg", "flac", as_it_is=True),
    Kind("studio.flac", "studios", "flac", "flac", samples="s16", as_it_is=True),
    Kind(
        "fine.flac",
        "studios, 24 bits",
        "flac",
        "flac",
        samples="s32",
        rate=96000,
        codec_options={"bits_per_raw_sample": "24"},
        as_it_is=True,
    ),
    Kind("music.wv", "WavPack", "wv", "wavpack"),
    Kind("music.tta", "True Audio", "tta", "tta", samples="s16"),
    # Windows
    Kind("windows.wma", "Windows", "asf", "wmav2", channels=2, bit_rate=128000),
    Kind("dictation.wma", "dictation machines", "asf", "wmav1", rate=22050, bit_rate=64000),
    Kind("windows.wmv", "Movie Maker", "asf", "wmav2", bit_rate=128000, video="wmv2"),
    Kind("camera.avi", "cameras", "avi", "pcm_s16le", video="mjpeg", as_it_is=True),
    Kind("divx.avi", "DivX", "avi", "libmp3lame", video="mpeg4", as_it_is=True),
    # Macs
    Kind("garageband.aiff", "GarageBand", "aiff", "pcm_s16be", channels=2),
    Kind("studio.aif", "Logic, 24 bits", "aiff", "pcm_s24be", rate=48000),
    Kind("sowt.aifc", "old Macs", "aiff", "pcm_s16le"),
    Kind("logic.caf", "Logic", "caf", "pcm_s24le", rate=48000),
    Kind("alac.caf", "Voice Memos", "caf", "alac"),
    Kind("sun.au", "Audacity, Java", "au", "pcm_s16be"),
    Kind("phone.au", "NeXT", "au", "pcm_mulaw", rate=8000),
    Kind("quicktime.mov", "QuickTime", "mov", "pcm_s24le", rate=48000, as_it_is=True),
    # Recorders and studios
    _wav("recorder.wav", "Zoom", "pcm_s24le", rate=48000, channels=2),
    _wav("float.wav", "field recorders, 32-bit float", "pcm_f32le", rate=96000),
    _wav("double.wav", "Python", "pcm_f64le"),
    _wav("old.wav", "Windows 3.1", "pcm_u8", rate=11025),
    _wav("surround.wav", "editors", "pcm_s16le", channels=6),
    _wav("big.wav", "RF64", "pcm_s16le", options={"rf64": "always"}),
    _wav("broadcast.wav", "broadcasters", "pcm_s16le", options={"write_bext": "1"}),
    _wav("a-law.wav", "telephone exchanges", "pcm_alaw", rate=8000),
    _wav("mu-law.wav", "telephone exchanges", "pcm_mulaw", rate=8000),
    _wav("ima.wav", "dictation machines", "adpcm_ima_wav", rate=16000),
    _wav("ms.wav", "answering machines", "adpcm_ms", rate=16000),
    _wav("g726.wav", "Asterisk", "g726", rate=8000),
    _wav("pipe.wav", "a pipe", "pcm_s16le", live=True),
    Kind("sony.w64", "Sound Forge", "w64", "pcm_s24le"),
    Kind("blaster.voc", "Sound Blaster", "voc", "pcm_u8", rate=11025),
    Kind("sox.sox", "SoX", "sox", "pcm_s32le"),
    Kind("lab.ircam", "laboratories", "ircam", "pcm_f32le"),
    # Films, television, conferences, screens
    Kind("track.mka", "MKVToolNix", "matroska", "aac"),
    Kind("lossless.mka", "archives", "matroska", "flac"),
    Kind("obs.mkv", "OBS, two tracks", "matroska", "aac", video="mpeg4", tracks=2, as_it_is=True),
    Kind(
        "surround.mkv",
        "films",
        "matroska",
        "ac3",
        rate=48000,
        channels=6,
        video="mpeg4",
        as_it_is=True,
    ),
    Kind("meeting.webm", "browsers, live", "webm", "libopus", rate=48000, live=True, as_it_is=True),
    Kind("screen.webm", "browsers", "webm", "libopus", rate=48000, video="libvpx", as_it_is=True),
    Kind(
        "safari.mp4",
        "Safari, in fragments",
        "mp4",
        "aac",
        options={"movflags": "frag_keyframe+empty_moov"},
        as_it_is=True,
    ),
    Kind("dvd.ac3", "DVDs", "ac3", "ac3", rate=48000, channels=2),
    Kind("stream.eac3", "streams", "eac3", "eac3", rate=48000),
    Kind("camcorder.mts", "camcorders", "mpegts", "ac3", rate=48000, video="mpeg2video"),
    Kind("television.ts", "television", "mpegts", "mp2", rate=48000),
    Kind("dvd.vob", "DVDs", "vob", "ac3", rate=48000, video="mpeg2video"),
    Kind("old.mpg", "Video CDs", "mpeg", "mp2", video="mpeg1video"),
    Kind("flash.flv", "Flash", "flv", "libmp3lame", video="flv"),
    Kind("tape.mxf", "broadcasters", "mxf", "pcm_s16le", rate=48000, video="mpeg2video"),
)
BY_NAME = {kind.name: kind for kind in KINDS}
#: Those that were refused before any recording was taken.
ONCE_REFUSED = (
    "voice-note.opus", "voice-note.oga", "signal.aac", "old.amr", "call.3gp", "call.3g2",
    "windows.wma", "book.m4b", "track.mka", "dvd.ac3", "garageband.aiff", "studio.aif",
    "logic.caf", "sun.au", "sony.w64",
)  # fmt: skip


@functools.cache
def content(name: str) -> bytes:
    """The bytes of the file of this name."""
    kind = BY_NAME[name]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        if kind.live:
            with path.open("wb") as pipe:
                _write(kind, _Pipe(pipe.write))
        else:
            _write(kind, str(path))
        return path.read_bytes()


class _Pipe:
    """Takes bytes, and goes nowhere else."""

    def __init__(self, write: Any) -> None:
        self.write = write


def _write(kind: Kind, target: Any) -> None:
    with av.open(target, "w", format=kind.muxer, options=kind.options) as container:
        pictures = _add_pictures(container, kind.video) if kind.video else None
        tracks = [_add_track(container, kind) for _ in range(kind.tracks)]
        if pictures:
            _write_pictures(container, pictures)
        for number, track in enumerate(tracks):
            _write_tone(container, track, kind, hertz=440 * (number + 1))


def _add_track(container: Any, kind: Kind) -> Any:
    track = container.add_stream(kind.codec, rate=kind.rate, layout=LAYOUTS[kind.channels])
    if kind.samples:
        track.format = kind.samples
    if kind.bit_rate:
        track.bit_rate = kind.bit_rate
    track.options = kind.codec_options
    return track


def _write_tone(container: Any, track: Any, kind: Kind, *, hertz: float) -> None:
    times = np.arange(round(SECONDS * kind.rate)) / kind.rate
    tone = 0.4 * np.sin(2 * np.pi * hertz * times) * (0.6 + 0.4 * np.sin(2 * np.pi * 3 * times))
    signal = np.repeat(tone[None].astype(np.float32), kind.channels, axis=0)
    for start in range(0, signal.shape[1], 1024):
        samples = np.ascontiguousarray(signal[:, start : start + 1024])
        frame = av.AudioFrame.from_ndarray(samples, "fltp", LAYOUTS[kind.channels])
        frame.sample_rate, frame.pts = kind.rate, start
        frame.time_base = Fraction(1, kind.rate)
        container.mux(track.encode(frame))
    container.mux(track.encode(None))


def _add_pictures(container: Any, codec: str) -> Any:
    stream = container.add_stream(codec, rate=25)
    stream.width, stream.height = 176, 144
    stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    return stream


def _write_pictures(container: Any, stream: Any) -> None:
    for number in range(round(SECONDS * 25)):
        picture = av.VideoFrame.from_ndarray(np.full((216, 176), 40 + number, np.uint8), "yuv420p")
        picture.pts, picture.time_base = number, Fraction(1, 25)
        container.mux(stream.encode(picture))
    container.mux(stream.encode(None))
