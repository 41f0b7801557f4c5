"""The `Range` header and the conditions of a request, by RFC 9110 (13.1, 14). Pure.

A header that is malformed or asks for several ranges is ignored, as a server may do (14.2):
the client then gets the whole file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from django.utils.http import parse_etags

# Range units are case-insensitive; digits are ASCII, which `\d` alone would not say.
_ONE_RANGE = re.compile(r"bytes=[ \t]*([0-9]*)-([0-9]*)[ \t]*", re.IGNORECASE)
#: Longer numbers are larger than any file, and int() raises for thousands of digits.
_DIGITS = 18


class RangeNotSatisfiable(ValueError):
    """The range lies outside the file: status 416."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ByteRange:
    """Bytes `first` to `last`, counted from 0, both included, as in `Content-Range`."""

    first: int
    last: int
    #: Whether the client named no end (`bytes=5-`).
    open_ended: bool = False

    @property
    def length(self) -> int:
        return self.last - self.first + 1

    def at_most(self, length: int) -> ByteRange:
        """The first `length` bytes (> 0) of this range."""
        return ByteRange(
            first=self.first,
            last=min(self.last, self.first + length - 1),
            open_ended=self.open_ended,
        )


def parse_range(header: str, size: int) -> ByteRange | None:
    """The range that `header` asks for in a file of `size` bytes; None for the whole file.

    Raises `RangeNotSatisfiable` if it begins behind the last byte or asks for the last 0 bytes.
    """
    match = _ONE_RANGE.fullmatch(header)
    if match is None:
        return None
    first, last = match.groups()
    if not first:
        return _suffix(last, size)
    start = _number(first)
    if last and _number(last) < start:
        return None  # invalid, so it is ignored (14.1.1)
    if start >= size:
        raise RangeNotSatisfiable(header)
    end = min(_number(last), size - 1) if last else size - 1
    return ByteRange(first=start, last=end, open_ended=not last)


def _suffix(digits: str, size: int) -> ByteRange | None:
    if not digits:
        return None  # "bytes=-"
    length = min(_number(digits), size)
    if not _number(digits):
        raise RangeNotSatisfiable("bytes=-0")
    # `Content-Range` cannot express a range of an empty file.
    return ByteRange(first=size - length, last=size - 1) if size else None


def _number(digits: str) -> int:
    return int(digits) if len(digits) <= _DIGITS else 10**_DIGITS


def if_none_match(header: str, etag: str) -> bool:
    """Whether `If-None-Match` is true (13.1.2, weak comparison); if not, the answer is 304."""
    if not header:
        return True
    known = parse_etags(header)
    return known != ["*"] and etag not in (tag.removeprefix("W/") for tag in known)


def if_range(header: str, etag: str) -> bool:
    """Whether `If-Range` is absent or true (13.1.5, strong comparison); if not, ignore `Range`.

    A date never matches, because we send no `Last-Modified`.
    """
    return not header or header.strip() == etag
