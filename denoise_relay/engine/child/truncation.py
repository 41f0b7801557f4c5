"""Compares what a file's own headers announce with the bytes that are there. No native code.

FFmpeg plays what it finds and does not mind a missing half, so each container is checked by its
own book-keeping. Where a file announces nothing (raw AAC, a live WebM, a WAV from a pipe) there is
nothing to miss, and it passes.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import BinaryIO, Final

#: Recorders that count a header or a padding byte too many are off by less than this.
_SLACK_BYTES: Final = 512
#: Sizes from here on are the "unknown" of programs that write a WAV or AVI to a pipe.
_RIFF_UNKNOWN: Final = 0x7FFF_0000
_MAX_BOXES: Final = 100_000
_FARTHEST: Final = 2**40
_OGG_TAIL_BYTES: Final = 2 * 65_307  # two pages of the largest size


def is_truncated(file: BinaryIO) -> bool:
    """True if the container announces data beyond the end of the file. Moves the position."""
    size = file.seek(0, io.SEEK_END)
    head = _read(file, 0, 12)
    if head[:4] in (b"RIFF", b"RF64", b"BW64"):
        return _riff(file, size)
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return int.from_bytes(head[4:8], "big") + 8 > size + _SLACK_BYTES
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
        return _mp4(file, size)
    if head[:4] == b"OggS":
        return _ogg(file, size)
    if head[:4] == b"fLaC":
        return _flac(file, size)
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return _matroska(file, size)
    if head[:3] == b"ID3" or head[:1] == b"\xff":
        return _mp3(file, size)
    return False


def _read(file: BinaryIO, position: int, count: int) -> bytes:
    if position > _FARTHEST:  # a forged size
        return b""
    file.seek(position)
    return file.read(count)


def _riff(file: BinaryIO, size: int) -> bool:
    """WAV: the `data` chunk. AVI: the outer RIFF lists, of which a large file has several."""
    wave = _read(file, 8, 4) == b"WAVE"
    position = 12 if wave else 0
    long_data_size: int | None = None
    for _ in range(_MAX_BOXES):
        header = _read(file, position, 8)
        if len(header) < 8:
            return False
        name, length = struct.unpack("<4sI", header)
        if wave and name == b"ds64":
            ds64 = _read(file, position + 8, 16)
            long_data_size = struct.unpack("<Q", ds64[8:])[0] if len(ds64) == 16 else None
        if name == b"data" and length == 0xFFFF_FFFF and long_data_size:
            return position + 8 + long_data_size > size + _SLACK_BYTES
        if length >= _RIFF_UNKNOWN or (length == 0 and name in (b"data", b"RIFF")):
            return False
        end = position + 8 + length
        if name in (b"data", b"RIFF"):
            if end > size + _SLACK_BYTES:
                return True
            if wave:
                return False
        position = end + (length & 1)
    return False


def wave_seconds(file: BinaryIO) -> float:
    """The length of the samples that a WAV file announces; 0 if that is not known."""
    if _read(file, 0, 4) not in (b"RIFF", b"RF64", b"BW64"):
        return 0.0
    position, bytes_per_second, long_data_size = 12, 0, 0
    for _ in range(_MAX_BOXES):
        header = _read(file, position, 24)
        if len(header) < 8:
            break
        name, length = struct.unpack("<4sI", header[:8])
        if name == b"fmt " and len(header) >= 20:
            bytes_per_second = int.from_bytes(header[16:20], "little")
        elif name == b"ds64" and len(header) >= 24:
            long_data_size = int.from_bytes(header[16:24], "little")
        elif name == b"data":
            announced = long_data_size or (length if length < _RIFF_UNKNOWN else 0)
            return announced / bytes_per_second if bytes_per_second else 0.0
        position += 8 + length + (length & 1)
    return 0.0


def _boxes(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int]]:
    """Names and ends of the top-level MP4 boxes."""
    position = 0
    for _ in range(_MAX_BOXES):
        header = _read(file, position, 16)
        if len(header) < 8:
            return
        length, name = struct.unpack(">I4s", header[:8])
        if length == 1 and len(header) == 16:
            length = struct.unpack(">Q", header[8:])[0]
        elif length == 0:  # to the end of the file
            length = size - position
        if length < 8:
            return
        position += length
        yield name, position


def _mp4(file: BinaryIO, size: int) -> bool:
    """A box that ends beyond the file, or samples without the index that a finished file has."""
    names = set()
    for name, end in _boxes(file, size):
        names.add(name)
        if end > size and name in (b"moov", b"mdat", b"moof"):
            return True
    return not names & {b"moov", b"moof", b"meta"}  # `meta` alone is a HEIC or AVIF picture


def has_index(file: BinaryIO) -> bool:
    """Whether an MP4 file has the whole of the box that says where its samples are."""
    size = file.seek(0, io.SEEK_END)
    return any(name == b"moov" and end <= size for name, end in _boxes(file, size))


def _ogg(file: BinaryIO, size: int) -> bool:
    """The last page must be whole. A missing end-of-stream flag alone is legal in recordings."""
    start = max(size - _OGG_TAIL_BYTES, 0)
    tail = _read(file, start, _OGG_TAIL_BYTES)
    page = tail.rfind(b"OggS")
    if page < 0:
        return False
    header = tail[page : page + 27]
    if len(header) < 27:
        return True
    lacing = tail[page + 27 : page + 27 + header[26]]
    return len(lacing) < header[26] or page + 27 + header[26] + sum(lacing) > len(tail)


def _flac(file: BinaryIO, size: int) -> bool:
    """A metadata block that is cut, or nothing behind them. The frames are for `track` to count."""
    position, last = 4, False
    while not last:
        header = _read(file, position, 4)
        if len(header) < 4:
            return True
        last = bool(header[0] & 0x80)
        position += 4 + int.from_bytes(header[1:], "big")
    return position >= size


def _matroska(file: BinaryIO, size: int) -> bool:
    """The Segment element's size, unless it is the "unknown" of a live recording."""
    head = _read(file, 0, 4096)
    position = 4
    length, width, unknown = _vint(head, position)
    position += width + length  # behind the EBML header
    for _ in range(16):
        head = _read(file, position, 16)
        if len(head) < 5:
            return True
        length, width, unknown = _vint(head, 4)
        if head[:4] == b"\x18\x53\x80\x67":
            return not unknown and position + 4 + width + length > size
        if head[0] != 0xEC or not width:  # only padding may stand before the Segment
            return False
        length, width, _ = _vint(head, 1)
        position += 1 + width + length
    return False


def _vint(data: bytes, position: int) -> tuple[int, int, bool]:
    """Value, width and "unknown" of an EBML size; width 0 if there is none."""
    first = data[position] if position < len(data) else 0
    width = 9 - first.bit_length() if first else 0
    if not width or position + width > len(data):
        return 0, 0, True
    value = int.from_bytes(data[position : position + width], "big") & ((1 << 7 * width) - 1)
    return value, width, value == (1 << 7 * width) - 1


def _mp3(file: BinaryIO, size: int) -> bool:
    """The byte count of a Xing or Info header, if the first frame has one."""
    position = 0
    id3 = _read(file, 0, 10)
    while id3[:3] == b"ID3" and len(id3) == 10:
        length = id3[6] << 21 | id3[7] << 14 | id3[8] << 7 | id3[9]
        position += 10 + length + (10 if id3[5] & 0x10 else 0)
        if position >= size:
            return True
        id3 = _read(file, position, 10)
    frame = _read(file, position, 256)
    if len(frame) < 256 or frame[0] != 0xFF or frame[1] & 0xE6 != 0xE2:
        return False
    mpeg1, mono = frame[1] & 0x18 == 0x18, frame[3] & 0xC0 == 0xC0
    tag = 4 + ((17 if mono else 32) if mpeg1 else (9 if mono else 17))
    if frame[1] & 1 == 0:  # a checksum follows the header
        tag += 2 if frame[tag : tag + 4] not in (b"Xing", b"Info") else 0
    if frame[tag : tag + 4] not in (b"Xing", b"Info"):
        return False
    flags = int.from_bytes(frame[tag + 4 : tag + 8], "big")
    if not flags & 2:
        return False
    at = tag + 8 + (4 if flags & 1 else 0)
    announced = int.from_bytes(frame[at : at + 4], "big")
    return position + announced > size + _SLACK_BYTES
