"""RFC 9110 13.1 and 14: ranges and their conditions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from denoise_relay.media.ranges import (
    ByteRange,
    RangeNotSatisfiable,
    if_none_match,
    if_range,
    parse_range,
)

SIZE = 10_000
sizes = st.integers(min_value=0, max_value=2**40)
positions = st.integers(min_value=0, max_value=2**41)


@pytest.mark.parametrize(
    ("header", "first", "last"),
    [
        # The examples of RFC 9110 14.1.2.
        ("bytes=0-499", 0, 499),
        ("bytes=500-999", 500, 999),
        ("bytes=-500", 9500, 9999),
        ("bytes=9500-", 9500, 9999),
        # Units are case-insensitive, white space around the range is allowed.
        ("Bytes=0-0", 0, 0),
        ("bytes= 5-6 ", 5, 6),
        # Ends are cut to the file; a suffix longer than the file is all of it.
        ("bytes=9999-20000", 9999, 9999),
        ("bytes=-20000", 0, 9999),
        ("bytes=0-" + "9" * 5000, 0, 9999),
    ],
)
def test_range_is_parsed(header: str, first: int, last: int) -> None:
    found = parse_range(header, SIZE)

    assert found is not None
    assert (found.first, found.last) == (first, last)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "bytes=5-3",
        "bytes=+1-2",
        "bytes=1_0-20",
        "bytes=٣-٤",
        "bytes=--1",
        "bytes=0-1,5-6",
        "items=0-5",
        "bytes 0-5",
        "bytes=0-5;bytes=1-2",
    ],
)
def test_what_is_malformed_or_several_is_ignored(header: str) -> None:
    assert parse_range(header, SIZE) is None


@pytest.mark.parametrize(
    "header", ["bytes=10000-", "bytes=10000-10001", "bytes=-0", f"bytes={'9' * 5000}-"]
)
def test_range_outside_the_file_is_unsatisfiable(header: str) -> None:
    with pytest.raises(RangeNotSatisfiable):
        parse_range(header, SIZE)


def test_empty_file_has_no_first_byte_but_may_be_sent_whole() -> None:
    with pytest.raises(RangeNotSatisfiable):
        parse_range("bytes=0-", 0)
    assert parse_range("bytes=-5", 0) is None


@given(size=sizes, first=positions, last=positions)
def test_closed_range_is_what_both_sides_have_in_common(size: int, first: int, last: int) -> None:
    header = f"bytes={first}-{last}"
    if last < first:
        assert parse_range(header, size) is None
    elif first >= size:
        with pytest.raises(RangeNotSatisfiable):
            parse_range(header, size)
    else:
        found = parse_range(header, size)
        assert found == ByteRange(first=first, last=min(last, size - 1))


@given(size=sizes.filter(bool), first=positions)
def test_open_range_reaches_the_end(size: int, first: int) -> None:
    if first >= size:
        with pytest.raises(RangeNotSatisfiable):
            parse_range(f"bytes={first}-", size)
    else:
        found = parse_range(f"bytes={first}-", size)
        assert found == ByteRange(first=first, last=size - 1, open_ended=True)


@given(size=sizes.filter(bool), length=positions.filter(bool))
def test_suffix_is_the_end_of_the_file(size: int, length: int) -> None:
    found = parse_range(f"bytes=-{length}", size)

    assert found is not None
    assert found.last == size - 1
    assert found.length == min(length, size)


@given(header=st.text(max_size=60) | st.from_regex(r"bytes=[0-9, \t-]{0,20}"), size=sizes)
def test_any_header_gives_a_range_inside_the_file_or_none(header: str, size: int) -> None:
    try:
        found = parse_range(header, size)
    except RangeNotSatisfiable:
        return
    assert found is None or 0 <= found.first <= found.last < size


@given(first=positions, extra=positions, length=positions.filter(bool))
def test_shortened_range_keeps_its_beginning(first: int, extra: int, length: int) -> None:
    found = ByteRange(first=first, last=first + extra, open_ended=True)

    shorter = found.at_most(length)

    assert shorter.first == first
    assert shorter.length == min(length, found.length)


ETAG = '"abc"'


@pytest.mark.parametrize("header", ["", '"xyz"', "abc", '"abc"', 'W/"abc"', '"x", "abc"', "*"])
def test_if_none_match_compares_weakly(header: str) -> None:
    assert if_none_match(header, ETAG) is (header in ("", '"xyz"', "abc"))


@pytest.mark.parametrize(
    "header", ["", '"abc"', 'W/"abc"', '"xyz"', "*", "Sat, 29 Oct 1994 19:43:31 GMT"]
)
def test_if_range_compares_strongly(header: str) -> None:
    assert if_range(header, ETAG) is (header in ("", '"abc"'))
