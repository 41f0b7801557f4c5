from __future__ import annotations

import contextlib
from itertools import pairwise

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from denoise_relay.backends.upstream.body import (
    MAX_LINE_BYTES,
    Body,
    ChunkedBody,
    OpenBody,
    SizedBody,
    body_of,
)
from denoise_relay.exceptions import ProtocolError

#: Bodies as hostile as they come: what delimits chunks is likely, in the wrong place, too.
streams = st.lists(
    st.sampled_from(
        [b"0\r\n\r\n", b"0\r\n", b"3\r\nabc\r\n", b"A;x=y\r\n0123456789\r\n", b"2\r\n\r\n\r\n",
         b"\r\n", b"\n", b"f", b"-1\r\n", b"0x1\r\na\r\n", b"T: x\r\n", b"1 \r\nz\r\n"]
    )
    | st.binary(max_size=4),
    max_size=20,
).map(b"".join)  # fmt: skip


def read(body: Body, pieces: list[bytes]) -> tuple[bytes, bool, bool]:
    """The body, whether it was whole, and whether it broke the protocol."""
    found = b""
    try:
        for piece in pieces:
            found += body.feed(piece)
    except ProtocolError:
        return found, body.complete, True
    return found, body.complete, False


def read_by_h11(stream: bytes) -> tuple[bytes, bool, bool]:
    reader = h11.Connection(h11.CLIENT)
    reader.send(h11.Request(method="GET", target="/", headers=[("host", "x")]))
    reader.send(h11.EndOfMessage())
    reader.receive_data(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    reader.next_event()
    reader.receive_data(stream)
    found = b""
    try:
        while isinstance(event := reader.next_event(), h11.Data):
            found += bytes(event.data)
    except h11.RemoteProtocolError:
        return found, False, True
    return found, isinstance(event, h11.EndOfMessage), False


def cut(stream: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(min(at, len(stream)) for at in cuts), len(stream)]
    return [stream[a:b] for a, b in pairwise(edges)]


@given(streams)
def test_nothing_passes_that_h11_refuses(stream: bytes) -> None:
    found, complete, broken = read(ChunkedBody(), [stream])
    by_h11, h11_complete, h11_broken = read_by_h11(stream)
    if complete:
        # h11 looks at the trailers' syntax, which nobody reads here.
        assert found == by_h11
        assert h11_complete or h11_broken
    elif not broken:
        assert (found, False) == (by_h11, h11_complete)
    else:
        assert not h11_complete


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=8), st.lists(st.integers(0, 400)))
def test_chunks_are_joined_however_they_are_cut(chunks: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    assert read(ChunkedBody(), cut(stream, cuts)) == (b"".join(chunks), True, False)


@given(streams, st.lists(st.integers(0, 100)))
def test_cuts_change_nothing(stream: bytes, cuts: list[int]) -> None:
    found, complete, broken = read(ChunkedBody(), cut(stream, cuts))
    whole, whole_complete, whole_broken = read(ChunkedBody(), [stream])
    assert (complete, broken) == (whole_complete, whole_broken)
    assert found.startswith(whole)
    if not broken:
        assert found == whole


def test_what_follows_a_body_is_left_alone() -> None:
    body = ChunkedBody()
    assert read(body, [b"1\r\na\r\n0\r\nTrailer: x\r\n\r\nHTTP/1.1 200", b" OK\r\n"])[0] == b"a"
    assert body.complete
    sized = SizedBody(3)
    assert (sized.feed(b"abcdef"), sized.complete) == (b"abc", True)


@pytest.mark.parametrize("start", [b"", b"5;", b"1\r\na\r\n0\r\n", b"1\r\na"])
def test_an_endless_line_is_refused(start: bytes) -> None:
    endless = [start, *[b"a" * 1000] * (MAX_LINE_BYTES // 1000 + 2)]
    assert read(ChunkedBody(), endless)[2]


def test_endless_trailers_are_refused() -> None:
    endless = [b"0\r\n", *[b"Trailer: x\r\n"] * (MAX_LINE_BYTES // 10 + 1)]
    assert read(ChunkedBody(), endless)[2]


def test_a_size_beyond_any_memory_is_only_a_number() -> None:
    body = ChunkedBody()
    assert body.feed(b"fffffffffffffff\r\nab") == b"ab"
    with contextlib.suppress(ProtocolError):
        body.feed(b"c" * 100)
    assert not body.complete
    with pytest.raises(ProtocolError):
        ChunkedBody().feed(b"1" * 16 + b"\r\n")


@pytest.mark.parametrize(
    ("status", "headers", "kind"),
    [
        (200, {}, OpenBody),
        (200, {b"content-length": b"0"}, SizedBody),
        (200, {b"content-length": b"7"}, SizedBody),
        (200, {b"transfer-encoding": b"chunked"}, ChunkedBody),
        (204, {}, SizedBody),
        (304, {b"content-length": b"7"}, SizedBody),
    ],
)
def test_how_a_body_is_framed(status: int, headers: dict[bytes, bytes], kind: type) -> None:
    body = body_of(status, headers)
    assert isinstance(body, kind)
    assert body.complete == (status != 200 or headers.get(b"content-length") == b"0")
