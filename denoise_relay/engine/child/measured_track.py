"""Measures one track by its packets, as they come from the demuxer."""

from __future__ import annotations

import struct
from collections import deque
from fractions import Fraction
from typing import Final

import av.error
import numpy as np
from av.audio.stream import AudioStream
from av.packet import Packet

from denoise_relay.engine.child.decode import Block, to_block
from denoise_relay.engine.errors import MediaRejected

#: Packets tried until one decodes: AAC and MP3 need a few to get going.
_FIRST_PACKETS: Final = 64
#: Seconds decoded until something is heard: a file that is silent for so long counts as heard.
_LISTEN_SECONDS: Final = 1800.0
#: Less of it is a click or a test, and no recording that failed.
_SHORTEST_SILENCE_SECONDS: Final = 0.5
#: Peak to peak, of a block: three steps of 16 bits, which is dither and no sound.
_SILENCE: Final = 3.5 / 32768
#: Decoded at the end of a FLAC file, whose last frame may be cut: only its checksum knows.
_LAST_PACKETS: Final = 2
#: Timestamps may differ from the sum of the packets by this share and these seconds.
_TIMESTAMP_SLACK: Final = (0.02, 0.1)
#: Samples of encoder priming that are believed; real encoders need up to some 5,000.
_MAX_PRIMING: Final = 48_000


class MeasuredTrack:
    """Feed it every packet, the empty last one too, then ask.

    Decodes packets until the first samples come, since only they tell the true rate (a header may
    name half of it: HE-AAC), and until something is heard. Nothing grows with the duration.
    """

    def __init__(self, stream: AudioStream) -> None:
        self._stream = stream
        self._time_base = stream.time_base or Fraction(1, stream.sample_rate or 1)
        self._first: Block | None = None
        self._channels = 0
        self._tried = 0
        self._heard = False
        self._silent_seconds = 0.0
        self._last: deque[Packet[AudioStream]] = deque(maxlen=_LAST_PACKETS)
        self._ticks = 0
        self._without_duration = 0
        self._skipped_samples = 0
        self._start: int | None = None
        self._end = 0

    def add(self, packet: Packet[AudioStream]) -> None:
        if self._first is None and self._tried < _FIRST_PACKETS:
            self._tried += 1
            self._decode(packet)
        elif self._first is not None and not self._heard:
            self._decode(packet)
        if not packet.size:
            return
        self._last.append(packet)
        duration = max(packet.duration or 0, 0)
        self._ticks += duration
        self._without_duration += not duration
        if packet.pts is not None:
            self._start = packet.pts if self._start is None else min(self._start, packet.pts)
            self._end = max(self._end, packet.pts + duration)
        if packet.has_sidedata("skip_samples"):
            side_data = bytes(packet.get_sidedata("skip_samples"))
            self._skipped_samples += min(struct.unpack_from("<I", side_data)[0], _MAX_PRIMING)

    @property
    def first_block(self) -> Block:
        """The first samples. Raises `MediaRejected` if there are none."""
        if self._first is None:
            if self._last:
                raise MediaRejected("unsupported", "The audio in this file cannot be decoded.")
            raise MediaRejected("empty", "The audio track is empty. Send a file with sound.")
        return self._first

    @property
    def channels(self) -> int:
        """As in the file, before any downmix."""
        return self._channels

    def seconds(self) -> float:
        """The length of what a decoder makes of the track.

        The sum of the packets, or first to last timestamp where the two agree: Matroska rounds
        each packet to milliseconds or leaves its duration out, while a hole or a wild timestamp
        is not audio.
        """
        block = self.first_block
        skipped = Fraction(self._skipped_samples, block.rate)
        usual = max(self._stream.codec_context.frame_size, block.samples.shape[1])
        by_sum = self._ticks * self._time_base - skipped
        by_sum += self._without_duration * Fraction(usual, block.rate)
        if self._start is None:
            return max(float(by_sum), 0.0)
        by_clock = (self._end - self._start) * self._time_base - skipped
        share, seconds = _TIMESTAMP_SLACK
        agree = abs(by_clock - by_sum) <= share * abs(by_sum) + seconds
        return max(float(by_clock if agree else by_sum), 0.0)

    def is_cut(self) -> bool:
        """True if a FLAC file has fewer samples than it says, or a last frame that is damaged."""
        if self._stream.container.format.name != "flac":
            return False
        if self._stream.duration and self._ticks < self._stream.duration:
            return True
        self._stream.codec_context.flush_buffers()
        try:
            for packet in self._last:
                packet.decode()
        except av.error.InvalidDataError:
            return True
        return False

    @property
    def is_silent(self) -> bool:
        return not self._heard and self._silent_seconds >= _SHORTEST_SILENCE_SECONDS

    def _decode(self, packet: Packet[AudioStream]) -> None:
        try:
            frames = [frame for frame in packet.decode() if frame.samples]
        except (av.error.MemoryError, av.error.PyAVCallbackError):
            raise
        except av.error.FFmpegError:
            return
        for frame in frames:
            block = to_block(frame)
            if self._first is None:
                self._first = block
                self._channels = frame.layout.nb_channels
            # Not by the level: a constant offset is no sound.
            self._heard = self._heard or bool((np.ptp(block.samples, axis=1) > _SILENCE).any())
            self._silent_seconds += block.samples.shape[1] / block.rate
        self._heard = self._heard or self._silent_seconds > _LISTEN_SECONDS
