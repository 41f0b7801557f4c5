"""The `Range` header and its conditions, as RFC 9110 has them (13.1, 14). Pure.

What we do not understand, or do not serve (several ranges), counts as absent: a server may
ignore `Range` (14.2), and the client then gets the whole file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from django.utils.http import parse_etags

# Range units are case-insensitive; digits are ASCII, which `\d` alone would not say.
_ONE_RANGE = re.compile(r"bytes=[ \t]*([0-9]*)-([0-9]*)[ \t]*", re.IGNORECASE)
_DIGITS = 18
"""Longer numbers are beyond any file, and int() refuses thousands of digits."""


class Unsatisfiable(ValueError):
    """The range lies outside the file: 416."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """Bytes `first` to `last`, counted from 0, both included, as `Content-Range` writes them."""

    first: int
    last: int
    #: The client named no end (`bytes=5-`).
    open_ended: bool = False

    @property
    def length(self) -> int:
        return self.last - self.first + 1

    def at_most(self, length: int) -> Span:
        """The same beginning, cut to `length` bytes (> 0)."""
        return Span(
            first=self.first,
            last=min(self.last, self.first + length - 1),
            open_ended=self.open_ended,
        )


def parse_range(header: str, size: int) -> Span | None:
    """The one range that `header` asks of a file of `size` bytes; None to send it whole.

    Raises `Unsatisfiable` when it begins at or behind the end, or asks for the last 0 bytes.
    """
    match = _ONE_RANGE.fullmatch(header)
    if match is None:
        return None
    first, last = match.groups()
    if not first:
        return _suffix(last, size)
    start = _number(first)
    if last and _number(last) < start:
        return None  # invalid, and so ignored (14.1.1)
    if start >= size:
        raise Unsatisfiable(header)
    end = min(_number(last), size - 1) if last else size - 1
    return Span(first=start, last=end, open_ended=not last)


def _suffix(digits: str, size: int) -> Span | None:
    if not digits:
        return None  # "bytes=-"
    length = min(_number(digits), size)
    if not _number(digits):
        raise Unsatisfiable("bytes=-0")
    # `Content-Range` cannot express a part of an empty file.
    return Span(first=size - length, last=size - 1) if size else None


def _number(digits: str) -> int:
    return int(digits) if len(digits) <= _DIGITS else 10**_DIGITS


def none_match(header: str, etag: str) -> bool:
    """Whether `If-None-Match` lets the request go on; false means 304 (13.1.2, weak)."""
    if not header:
        return True
    known = parse_etags(header)
    return known != ["*"] and etag not in (tag.removeprefix("W/") for tag in known)


def if_range(header: str, etag: str) -> bool:
    """Whether `If-Range` lets `Range` count: absent, or exactly our tag (13.1.5, strong).

    A date never matches: we send no `Last-Modified`.
    """
    return not header or header.strip() == etag
