"""Writes a video with another sound: pictures and subtitles are copied, packet by packet."""

from __future__ import annotations

import contextlib
import os
from fractions import Fraction
from typing import Any, Final

import av
import av.error
import numpy as np
from av.stream import Discard, Disposition, Stream

from denoise_relay.engine.child.audio_file import AudioTrack, Kind
from denoise_relay.engine.child.container import Source, audio_stream, open_container
from denoise_relay.engine.child.decode import Samples
from denoise_relay.engine.child.sound_gaps import sound_gaps
from denoise_relay.engine.child.video_packets import is_plain_vp9, mpeg4_size, packets
from denoise_relay.engine.errors import MediaRejected

_STILL: Final = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
#: The text of the whole file that is kept. Phones write where they were, which is not.
_KEPT_TAGS: Final = ("title", "artist", "comment", "date", "creation_time")
_VP9: Final = ("vp9", "libvpx-vp9")
_NOT_HELD: Final = "This format cannot hold the video as it is. Choose another one."


class VideoFile:
    """A video with new sound under construction. Close it by leaving the block.

    The streams that are copied are read as far as the sound has come, so that neither waits for the
    other in memory. Raises `MediaRejected` where there are no pictures (`no_video`) or where the
    container cannot hold them (`unsupported`).
    """

    def __init__(
        self,
        source: str | os.PathLike[str],
        target: str | os.PathLike[str],
        kind: Kind,
        *,
        channels: int,
        rate: int,
    ) -> None:
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(open(source, "rb"))
            # Old containers have no times of presentation.
            before = stack.enter_context(open_container(Source(file), flags="+genpts"))
            pictures = [
                stream for stream in before.streams.video if not stream.disposition & _STILL
            ]
            if not pictures:
                raise MediaRejected("no_video")
            self._rate = rate
            #: Samples of the result so far.
            self._end = 0
            sound, start = _first_times(source, {stream.index for stream in pictures})
            self._gaps = sound_gaps(source, sound)
            self._output = av.open(
                os.fspath(target), "w", format=kind.container, options=kind.options
            )
            stack.callback(_close, self._output)
            self._output.metadata.update(
                {name: text for name, text in before.metadata.items() if name in _KEPT_TAGS}
            )
            #: The copy of each stream, by the number of the one that is copied.
            self._copies: dict[int, Any] = {}
            #: Numbers of streams that must be of this kind.
            self._plain_vp9: set[int] = set()
            for stream in pictures:
                self._add(stream)
            self._track = AudioTrack(
                self._output,
                kind,
                channels=channels,
                rate=rate,
                start_seconds=sound - start,
            )
            for subtitles in before.streams.subtitles:
                with contextlib.suppress(MediaRejected):
                    self._add(subtitles)
            self._packets = packets(source, before, set(self._copies), start)
            self._next = next(self._packets, None)
            self._stack = stack.pop_all()

    def __enter__(self) -> VideoFile:
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def write(self, samples: Samples) -> None:
        while self._gaps and self._gaps[0].at_seconds * self._rate < self._end + samples.shape[1]:
            gap = self._gaps.popleft()
            head = max(round(gap.at_seconds * self._rate) - self._end, 0)
            self._append(samples[:, :head])
            samples = samples[:, head:]
            self._end += head
            left = round(gap.seconds * self._rate)
            while left > 0:
                silence = np.zeros((len(samples), min(left, self._rate)), np.float32)
                self._append(silence)
                left -= silence.shape[1]
        self._append(samples)
        self._end += samples.shape[1]

    def _append(self, samples: Samples) -> None:
        encoded = self._track.write(samples)
        self._copy_until(self._track.end_seconds)
        self._output.mux(encoded)

    def finish(self) -> None:
        self._output.mux(self._track.finish())
        self._copy_until(None)
        try:
            self._output.close()
        except av.error.FFmpegError as exc:
            raise MediaRejected("unsupported", _NOT_HELD) from exc

    def _add(self, stream: Stream) -> None:
        try:
            copy: Any = self._output.add_stream_from_template(stream, opaque=True)
        except (ValueError, av.error.FFmpegError) as exc:
            raise MediaRejected("unsupported", _NOT_HELD) from exc
        if stream.type == "video" and not copy.codec_context.width and (size := mpeg4_size(stream)):
            copy.codec_context.width, copy.codec_context.height = size
        if copy.codec_context.name == "hevc" and self._output.format.name == "mp4":
            copy.codec_context.codec_tag = "hvc1"  # the other tag is not played by Apple's players
        if copy.codec_context.name in _VP9 and not copy.codec_context.pix_fmt:
            # MP4 must say it; `write` looks at the pictures.
            copy.codec_context.pix_fmt = "yuv420p"
            self._plain_vp9.add(stream.index)
        copy.metadata.update(
            {name: text for name, text in stream.metadata.items() if name in ("language", "title")}
        )
        self._copies[stream.index] = copy

    def _copy_until(self, seconds: Fraction | None) -> None:
        """Copy what comes before this time; all that is left if there is none."""
        while (packet := self._next) is not None:
            if seconds is not None and packet.dts * packet.time_base > seconds:
                return
            index = packet.stream.index
            if index in self._plain_vp9 and not is_plain_vp9(bytes(memoryview(packet)[:1])):
                raise MediaRejected("unsupported", _NOT_HELD)
            packet.stream = self._copies[index]
            try:
                self._output.mux(packet)
            except av.error.FFmpegError as exc:
                raise MediaRejected("unsupported", _NOT_HELD) from exc
            self._next = next(self._packets, None)


def _first_times(source: str | os.PathLike[str], pictures: set[int]) -> tuple[Fraction, Fraction]:
    """The time of the first sample that a player plays, and of the first thing at all, in seconds.

    A container may say it wrongly, and does where FFmpeg cannot decode a part of it.
    """
    sound: Fraction | None = None
    found: dict[int, Fraction] = {}
    with open(source, "rb") as file, open_container(Source(file)) as container:
        track = audio_stream(container)
        for index in pictures:
            container.streams[index].discard = Discard.default
        packet: Any
        for packet in container.demux():
            if packet.stream.index == track.index:
                sound = _first_sample(packet) if sound is None else sound
            elif packet.pts is not None:
                found.setdefault(packet.stream.index, packet.pts * packet.time_base)
            if sound is not None and found.keys() >= pictures:
                break
    sound = sound or Fraction(0)
    return sound, max(min([sound, *found.values()]), Fraction(0))


def _first_sample(packet: Any) -> Fraction | None:
    with contextlib.suppress(av.error.InvalidDataError):
        for frame in packet.decode():
            if frame.samples and frame.pts is not None:
                return Fraction(frame.pts * frame.time_base)
    return None


def _close(output: Any) -> None:
    """Close what may be broken."""
    with contextlib.suppress(av.error.FFmpegError):
        output.close()
