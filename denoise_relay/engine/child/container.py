"""Opens an untrusted file with FFmpeg in such a way that nothing but that file can be read."""

from __future__ import annotations

import errno
import io
from typing import Any, BinaryIO, Final, NoReturn

import av
import av.error
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition

from denoise_relay.engine.errors import MediaRejected

#: FFmpeg's names: all that people record, or have. Playlists and scripts (hls, dash, concat, sdp…)
#: are what this keeps out. docs/formats.md is made from it.
DEMUXERS: Final = (
    "aac", "ac3", "aiff", "amr", "ape", "asf", "au", "avi", "caf", "dsf", "dss", "dts", "dtshd",
    "dv", "eac3", "flac", "flv", "ircam", "loas", "matroska", "mov", "mp3", "mpc", "mpc8", "mpeg",
    "mpegts", "mxf", "ogg", "oma", "qcp", "rm", "shn", "sox", "tak", "truehd", "tta", "voc", "w64",
    "wav", "wtv", "wv",
)  # fmt: skip
DECODERS: Final = (
    "aac", "aac_latm", "ac3", "alac", "als", "amrnb", "amrwb", "ape",
    "atrac1", "atrac3", "atrac3al", "atrac3plus", "atrac3plusal", "cook", "dca", "dsd_lsbf",
    "dsd_lsbf_planar", "dsd_msbf", "dsd_msbf_planar", "dss_sp", "dst", "dvaudio", "eac3", "evrc",
    "flac", "g722", "g723_1", "g726", "g726le", "g729", "gsm", "gsm_ms", "ilbc", "imc", "mace3",
    "mace6", "mlp", "mp1", "mp1float", "mp2", "mp2float", "mp3", "mp3float", "mpc7", "mpc8",
    "nellymoser", "on2avc", "opus", "libopus", "qcelp", "qdm2", "qdmc", "ralf", "real_144",
    "real_288", "s302m", "shorten", "sipr", "speex", "tak", "truehd", "truespeech", "tta",
    "vorbis", "wavpack", "wmalossless", "wmapro", "wmav1", "wmav2", "wmavoice",
    "adpcm_adx", "adpcm_g726", "adpcm_g726le", "adpcm_ima_qt", "adpcm_ima_wav", "adpcm_ms",
    "adpcm_sbpro_2", "adpcm_sbpro_3", "adpcm_sbpro_4", "adpcm_swf", "adpcm_yamaha",
    "pcm_alaw", "pcm_bluray", "pcm_dvd", "pcm_f16le", "pcm_f24le", "pcm_f32be", "pcm_f32le",
    "pcm_f64be", "pcm_f64le", "pcm_mulaw", "pcm_s8", "pcm_s8_planar", "pcm_s16be",
    "pcm_s16be_planar", "pcm_s16le", "pcm_s16le_planar", "pcm_s24be", "pcm_s24daud", "pcm_s24le",
    "pcm_s24le_planar", "pcm_s32be", "pcm_s32le", "pcm_s32le_planar", "pcm_s64be", "pcm_s64le",
    "pcm_u8", "pcm_u16be", "pcm_u16le", "pcm_u24be", "pcm_u24le", "pcm_u32be", "pcm_u32le",
    "pcm_vidc",
)  # fmt: skip
MAX_STREAMS: Final = 64
#: Sample entries of encrypted tracks in MP4 (ISO/IEC 14496-12, 8.12), of iTunes and of Audible.
_PROTECTED: Final = frozenset({"enca", "drms", "aavd"})
#: Titles in Latin-1 must not fail a file. PyAV does so by itself, without the option, from 19 on.
_LENIENT_TAGS: Final[dict[str, Any]] = (
    {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
)


class Source(io.RawIOBase):
    """The file as FFmpeg sees it: bytes without a name, so that only content decides the format.

    `farthest` is the end of the last byte read, for progress.
    """

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file = file
        self.size_bytes = file.seek(0, io.SEEK_END)
        self.farthest = 0
        file.seek(0)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.farthest = max(self.farthest, self._file.tell())
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        try:
            return self._file.seek(offset, whence)
        except (OSError, ValueError):  # an offset that the content made up
            return -errno.EINVAL

    def tell(self) -> int:
        return self._file.tell()


def open_container(source: Source, *, flags: str = "") -> InputContainer:
    """Open `source` for demuxing audio. Close what comes back. `flags` are FFmpeg's `fflags`.

    Raises `MediaRejected` with `not_media` or `unsupported`. Video is never decoded: its decoders
    are not on the list, and they are the larger part of FFmpeg's attack surface.
    """
    try:
        container: InputContainer = av.open(
            source,
            "r",
            container_options={
                "format_whitelist": ",".join(DEMUXERS),
                "codec_whitelist": ",".join(DECODERS),
                "protocol_whitelist": "",
                "max_streams": str(MAX_STREAMS),
                **({"fflags": flags} if flags else {}),
            },
            io_open=_refuse_to_open,
            **_LENIENT_TAGS,
        )
    except av.error.ArgumentError as exc:
        # FFmpeg answers EINVAL for a format that it knows and that is not on our list.
        raise MediaRejected("unsupported") from exc
    except (av.error.MemoryError, av.error.PyAVCallbackError):
        raise
    except av.error.FFmpegError as exc:
        raise MediaRejected("not_media") from exc
    return container


def audio_stream(container: InputContainer) -> AudioStream:
    """The track to denoise: the default one as the file marks it, else the first that decodes.

    Every other track is discarded in the demuxer, which then does not even read it.
    """
    streams = list(container.streams.audio)
    if not streams:
        raise MediaRejected("no_audio")
    known = [stream for stream in streams if _decoder(stream) in DECODERS]
    if any(stream.codec_context.codec_tag in _PROTECTED for stream in streams):
        raise MediaRejected("protected")
    if not known:
        raise MediaRejected("unsupported")
    chosen = next((s for s in known if s.disposition & Disposition.default), known[0])
    for stream in container.streams:
        if stream.index != chosen.index:
            stream.discard = av.stream.Discard.all
    chosen.codec_context.thread_count = 1
    return chosen


def _decoder(stream: AudioStream) -> str | None:
    # No context: FFmpeg was built without that decoder. (PyAV's types do not know.)
    return getattr(stream.codec_context, "name", None)


def has_moving_pictures(container: InputContainer) -> bool:
    still = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
    return any(not stream.disposition & still for stream in container.streams.video)


def _refuse_to_open(url: str, flags: int, options: dict[str, Any]) -> NoReturn:
    """FFmpeg calls this for every further file or address that the content names."""
    raise MediaRejected("unsupported", "The file refers to other files, which are never opened.")
